#include "broker/client/reconnecting_client.h"

#include <algorithm>

namespace broker::client {
namespace {

/// A node that closes connections soon after they became ready is as good as down.
constexpr Duration kLastingConnection = std::chrono::seconds(1);

}  // namespace

ReconnectingClient::ReconnectingClient(io::Strand& strand, io::Transport& transport,
                                       ReconnectOptions options)
    : strand_(strand), transport_(transport), options_(std::move(options)), rng_(options_.seed) {
  CHECK(!options_.bootstrap.empty());
  next_ = rng_.below(options_.bootstrap.size());
}

ReconnectingClient::~ReconnectingClient() {
  *alive_ = false;
  strand_.cancel(retry_timer_);
  for (auto& [id, waiting] : waiting_) strand_.cancel(waiting.timer);
}

void ReconnectingClient::when_connected(Waiter waiter, Instant give_up) {
  strand_.check_current();
  if (connected()) return waiter(connection_.get());
  const std::uint64_t id = next_waiting_++;
  const auto timer = strand_.call_at(give_up, [this, alive = alive_, id] {
    if (*alive) give_up_waiting(id);
  });
  waiting_.emplace(id, Waiting{std::move(waiter), timer});
  if (connection_ == nullptr && retry_timer_ == io::kNoTimer) connect();
}

void ReconnectingClient::give_up_waiting(std::uint64_t id) {
  auto waiting = waiting_.extract(id);
  if (waiting.empty()) return;
  const bool refused = last_error_.code == ErrorCode::kSaslAuthenticationFailed;
  waiting.mapped().waiter(Error{refused ? last_error_.code : ErrorCode::kBrokerNotAvailable,
                                "no connection: " + last_error_.detail});
}

void ReconnectingClient::move_on(std::optional<io::Endpoint> preferred) {
  strand_.check_current();
  preferred_ = std::move(preferred);
  strand_.cancel(retry_timer_);
  retry_timer_ = io::kNoTimer;
  if (connection_ != nullptr) {
    connection_->on_closed(nullptr);
    connection_->close("left for another node");
    retire_connection();
  }
  connect();
}

void ReconnectingClient::retire_connection() {
  retired_.push_back(std::move(connection_));
  strand_.post([this, alive = alive_] {
    if (*alive) retired_.pop_front();
  });
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
  connection_->on_ready([this] { on_ready(); });
  connection_->on_closed([this](const Error& reason) { on_lost(reason); });
}

void ReconnectingClient::on_ready() {
  ready_since_ = strand_.now();
  auto waiting = std::exchange(waiting_, {});
  for (auto& [id, entry] : waiting) {
    strand_.cancel(entry.timer);
    entry.waiter(connection_.get());
  }
}

void ReconnectingClient::on_lost(const Error& reason) {
  last_error_ = reason;
  const bool lasted =
      connection_->was_ready() && strand_.now() - ready_since_ >= kLastingConnection;
  failures_ = lasted ? 0 : std::min(failures_ + 1, 16);
  retire_connection();
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
