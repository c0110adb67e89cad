#include "broker/quorum/client_peers.h"

namespace broker::quorum {

ClientPeers::ClientPeers(io::Strand& strand, io::Transport& transport, ClientPeersOptions options)
    : strand_(strand), transport_(transport), options_(std::move(options)) {}

ClientPeers::~ClientPeers() { *alive_ = false; }

void ClientPeers::close() { connections_.clear(); }

client::Connection& ClientPeers::connection_to(const io::Endpoint& to) {
  auto& connection = connections_[to];
  if (connection) return *connection;
  client::ConnectionOptions options;
  options.endpoint = to;
  options.tls = options_.tls;
  options.server_name = options_.server_name;
  options.sasl = options_.sasl;
  options.client_id = options_.client_id;
  options.connect_timeout = options_.connect_timeout;
  connection = std::make_unique<client::Connection>(strand_, transport_, std::move(options));
  connection->on_closed([this, alive = alive_, to, raw = connection.get()](const Error&) {
    if (*alive) forget(to, raw);
  });
  return *connection;
}

/// Its callbacks may still be on their way through the strand: it dies on a later turn.
void ClientPeers::forget(const io::Endpoint& to, const client::Connection* connection) {
  const auto found = connections_.find(to);
  if (found == connections_.end() || found->second.get() != connection) return;
  std::shared_ptr<client::Connection> retired = std::move(found->second);
  connections_.erase(found);
  strand_.post([retired] {});
}

void ClientPeers::send(const io::Endpoint& to, PeerRequest request, Duration timeout, Done done) {
  strand_.check_current();
  client::Connection& connection = connection_to(to);
  std::visit(
      [&](auto&& message) {
        using Request = std::decay_t<decltype(message)>;
        connection.call<Request>(
            std::forward<decltype(message)>(message),
            [this, alive = alive_, to, raw = &connection,
             done = std::move(done)](Result<typename Request::Response> answer) mutable {
              if (!*alive) return;
              if (answer.ok()) return done(PeerResponse(std::move(*answer)));
              if (answer.code() == ErrorCode::kRequestTimedOut) {
                const auto found = connections_.find(to);
                if (found != connections_.end() && found->second.get() == raw) {
                  raw->close("a request was not answered in time");
                }
              }
              done(answer.error());
            },
            timeout);
      },
      std::move(request));
}

}  // namespace broker::quorum
