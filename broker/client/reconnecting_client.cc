#include "broker/client/reconnecting_client.h"

#include <algorithm>

namespace broker::client {

ReconnectingClient::ReconnectingClient(io::Strand& strand, io::Transport& transport,
                                       ReconnectOptions options)
    : strand_(strand), transport_(transport), options_(std::move(options)), rng_(options_.seed) {
  CHECK(!options_.bootstrap.empty());
  next_ = rng_.below(options_.bootstrap.size());
}

ReconnectingClient::~ReconnectingClient() {
  *alive_ = false;
  strand_.cancel(retry_timer_);
}

void ReconnectingClient::when_connected(Waiter waiter, Duration timeout) {
  strand_.check_current();
  if (connection_ == nullptr && retry_timer_ == io::kNoTimer) connect();
  if (connection_ != nullptr) {
    // Also while it is still opening: the connection holds the call back until it is ready.
    return waiter(connection_.get());
  }
  // Between two attempts: look again after the back-off, within the caller's time.
  const Instant give_up = strand_.now() + timeout;
  strand_.call_after(
      options_.min_backoff, [this, alive = alive_, waiter = std::move(waiter), give_up]() mutable {
        if (!*alive) return;
        if (strand_.now() >= give_up) {
          return waiter(Error{ErrorCode::kNetworkException, "no connection: " + last_error_});
        }
        when_connected(std::move(waiter), give_up - strand_.now());
      });
}

void ReconnectingClient::move_on(std::optional<io::Endpoint> preferred) {
  preferred_ = std::move(preferred);
  strand_.cancel(retry_timer_);
  retry_timer_ = io::kNoTimer;
  connection_.reset();
  connect();
}

void ReconnectingClient::connect() {
  if (preferred_) {
    endpoint_ = *std::exchange(preferred_, std::nullopt);
  } else {
    endpoint_ = options_.bootstrap[next_++ % options_.bootstrap.size()];
  }
  ConnectionOptions options = options_.connection;
  options.endpoint = endpoint_;
  connection_ = std::make_unique<Connection>(strand_, transport_, std::move(options));
  connection_->on_closed([this, alive = alive_](const Error& reason) {
    if (*alive) on_lost(reason);
  });
}

void ReconnectingClient::on_lost(const Error& reason) {
  last_error_ = reason.detail;
  failures_ = connection_->was_ready() ? 0 : std::min(failures_ + 1, 16);
  // Callbacks of the lost connection are still on their way through the strand: free it after them.
  strand_.post([lost = std::shared_ptr<Connection>(std::move(connection_))] {});
  const auto ceiling = std::min<Duration>(options_.max_backoff,
                                          options_.min_backoff * (1 << std::min(failures_, 10)));
  const auto jittered = ceiling / 2 + Duration(rng_.below(ceiling.count() / 2 + 1));
  retry_timer_ = strand_.call_after(jittered, [this, alive = alive_] {
    if (!*alive) return;
    retry_timer_ = io::kNoTimer;
    connect();
  });
}

}  // namespace broker::client
