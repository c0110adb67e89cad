#include "broker/replication/client_peer.h"

#include <utility>

#include "broker/client/connection.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"

namespace broker::replication {
namespace {

class ClientPeer final : public PeerConnection {
 public:
  explicit ClientPeer(std::unique_ptr<client::Connection> connection)
      : connection_(std::move(connection)) {}

  void fetch(protocol::FetchRequest request,
             UniqueFunction<void(Result<protocol::FetchResponse>)> done) override {
    connection_->call(std::move(request), std::move(done));
  }
  void list_offsets(protocol::ListOffsetsRequest request,
                    UniqueFunction<void(Result<protocol::ListOffsetsResponse>)> done) override {
    connection_->call(std::move(request), std::move(done));
  }
  void on_lost(UniqueFunction<void(const Error&)> callback) override {
    connection_->on_closed(std::move(callback));
  }

 private:
  const std::unique_ptr<client::Connection> connection_;
};

}  // namespace

std::unique_ptr<PeerConnection> make_client_peer(std::unique_ptr<client::Connection> connection) {
  return std::make_unique<ClientPeer>(std::move(connection));
}

}  // namespace broker::replication
