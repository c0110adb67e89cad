#pragma once

#include <memory>

#include "broker/replication/peers.h"

namespace broker::client {
class Connection;
}

namespace broker::replication {

/// A PeerConnection over the protocol's client. `connection` is fresh: nobody has set on_closed().
std::unique_ptr<PeerConnection> make_client_peer(std::unique_ptr<client::Connection> connection);

}  // namespace broker::replication
