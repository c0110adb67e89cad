#pragma once

#include <deque>
#include <map>
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
/// with jitter, no end. A call waits for a connection until its timeout (kBrokerNotAvailable: it
/// was not sent). A call that was on the wire when the connection broke fails with
/// kNetworkException: only the caller knows whether it may be sent twice. Lives on one strand.
class ReconnectingClient {
 public:
  ReconnectingClient(io::Strand& strand, io::Transport& transport, ReconnectOptions options);
  ~ReconnectingClient();
  ReconnectingClient(const ReconnectingClient&) = delete;
  ReconnectingClient& operator=(const ReconnectingClient&) = delete;

  template <class Request>
  void call(Request request, UniqueFunction<void(Result<typename Request::Response>)> done,
            std::optional<Duration> timeout = std::nullopt) {
    const Instant give_up = strand_.now() + timeout.value_or(options_.connection.request_timeout);
    when_connected(
        [this, request = std::move(request), done = std::move(done),
         give_up](Result<Connection*> connection) mutable {
          if (!connection.ok()) return done(connection.error());
          (*connection)->call(std::move(request), std::move(done), give_up - strand_.now());
        },
        give_up);
  }

  /// Leaves the present node, for one that it named as the leader or for any other. Calls on the
  /// wire end with kNetworkException.
  void move_on(std::optional<io::Endpoint> preferred = std::nullopt);

  bool connected() const { return connection_ != nullptr && connection_->ready(); }
  const io::Endpoint& endpoint() const { return endpoint_; }
  /// Why the last connection failed; empty while there was none.
  const std::string& last_error() const { return last_error_.detail; }

 private:
  using Waiter = UniqueFunction<void(Result<Connection*>)>;
  struct Waiting {
    Waiter waiter;
    io::TimerId timer;
  };
  void when_connected(Waiter waiter, Instant give_up);
  void give_up_waiting(std::uint64_t id);
  void connect();
  void on_ready();
  void on_lost(const Error& reason);
  void retire_connection();

  io::Strand& strand_;
  io::Transport& transport_;
  const ReconnectOptions options_;
  Rng rng_;
  std::size_t next_ = 0;
  int failures_ = 0;  // in a row
  Instant ready_since_;
  io::Endpoint endpoint_;
  std::optional<io::Endpoint> preferred_;
  Error last_error_{ErrorCode::kNone, {}};
  std::unique_ptr<Connection> connection_;
  // Of these, callbacks are still on their way through the strand.
  std::deque<std::unique_ptr<Connection>> retired_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t next_waiting_ = 0;
  io::TimerId retry_timer_ = io::kNoTimer;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards posted tasks
};

}  // namespace broker::client
