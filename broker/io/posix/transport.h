#pragma once

#include <chrono>
#include <memory>

#include "broker/io/address_book.h"
#include "broker/io/transport.h"

namespace broker::io::posix {

struct TransportOptions {
  std::chrono::milliseconds connect_timeout{10'000};    // per address of a name
  std::chrono::milliseconds handshake_timeout{10'000};  // TLS, both ends
  int listen_backlog = 1024;
  std::size_t read_budget_bytes = 256 * 1024;  // per connection and turn: fair to the others
  std::shared_ptr<AddressBook> addresses{};    // hosts that need no name server; may be null
};

/// TCP and TLS over EventLoop. Every Strand handed to it must be an EventLoop. Ignores SIGPIPE in
/// the process. `on_drained` comes only when a write had to wait. Outlives its streams' opening.
std::unique_ptr<Transport> make_posix_transport(TransportOptions options = {});

}  // namespace broker::io::posix
