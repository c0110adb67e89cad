#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/client/connection.h"
#include "broker/common/rng.h"

namespace broker::client {

struct ReconnectOptions {
  ConnectionOptions connection;         // its endpoint is replaced by one of `bootstrap`
  std::vector<io::Endpoint> bootstrap;  // tried in turn; must not be empty
  Duration min_backoff = std::chrono::milliseconds(20);
  Duration max_backoff = std::chrono::seconds(2);
  std::uint64_t seed = 1;  // jitter
};

/// Keeps one connection to any of several nodes: the next node after a loss, exponential back-off
/// with jitter, no end. A call waits for a connection until its timeout. A call that was on the
/// wire when the connection broke fails with kNetworkException: only the caller knows whether it
/// may be sent twice. Lives on one strand.
class ReconnectingClient {
 public:
  ReconnectingClient(io::Strand& strand, io::Transport& transport, ReconnectOptions options);
  ~ReconnectingClient();
  ReconnectingClient(const ReconnectingClient&) = delete;
  ReconnectingClient& operator=(const ReconnectingClient&) = delete;

  template <class Request, class Response = typename Request::Response>
  void call(Request request, UniqueFunction<void(Result<Response>)> done,
            std::optional<Duration> timeout = std::nullopt) {
    when_connected(
        [request = std::move(request), done = std::move(done),
         timeout](Result<Connection*> connection) mutable {
          if (!connection.ok()) return done(connection.error());
          (*connection)->call(std::move(request), std::move(done), timeout);
        },
        timeout.value_or(options_.connection.request_timeout));
  }

  /// Leaves the present node, for one that it named as the leader or for any other.
  void move_on(std::optional<io::Endpoint> preferred = std::nullopt);

  bool connected() const { return connection_ != nullptr && connection_->ready(); }
  const io::Endpoint& endpoint() const { return endpoint_; }
  /// Why the last connection failed; empty while there was none.
  const std::string& last_error() const { return last_error_; }

 private:
  using Waiter = UniqueFunction<void(Result<Connection*>)>;
  void when_connected(Waiter waiter, Duration timeout);
  void connect();
  void on_lost(const Error& reason);

  io::Strand& strand_;
  io::Transport& transport_;
  const ReconnectOptions options_;
  Rng rng_;
  std::size_t next_ = 0;
  int failures_ = 0;  // in a row
  io::Endpoint endpoint_;
  std::optional<io::Endpoint> preferred_;
  std::string last_error_;
  std::unique_ptr<Connection> connection_;
  io::TimerId retry_timer_ = io::kNoTimer;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards posted tasks
};

}  // namespace broker::client
