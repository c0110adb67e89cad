#include "broker/server/worker.h"

#include "broker/server/connection.h"

namespace broker::server {

void Worker::adopt(std::shared_ptr<const Listener> listener, std::unique_ptr<io::Stream> stream,
                   Task on_closed) {
  if (stopping_) {
    stream.reset();
    on_closed();
    return;
  }
  const std::uint64_t number = next_connection_++;
  auto connection = std::make_shared<Connection>(*this, number, std::move(listener),
                                                 std::move(stream), std::move(on_closed));
  connections_.emplace(number, connection);
  strangers_.insert(number);
  if (strangers_.size() > max_strangers_) cut_oldest_stranger();
  connection->start();
}

void Worker::cut_oldest_stranger() {
  const auto oldest = connections_.find(*strangers_.begin());
  strangers_.erase(strangers_.begin());
  if (oldest == connections_.end()) return;
  std::shared_ptr<Connection>(oldest->second)->cut_stranger("too many others wait to log in");
}

void Worker::forget(std::uint64_t connection) {
  strangers_.erase(connection);
  connections_.erase(connection);
  check_stopped();
}

bool Worker::close_least_active(const std::set<std::string>& listeners) {
  const std::shared_ptr<Connection>* victim = nullptr;
  for (const auto& [number, connection] : connections_) {
    if (!listeners.contains(connection->listener().options.name)) continue;
    if (victim == nullptr || connection->last_active() < (*victim)->last_active())
      victim = &connection;
  }
  if (victim == nullptr) return false;
  std::shared_ptr<Connection>(*victim)->close("max.connections is exceeded");
  return true;
}

void Worker::stop(std::chrono::milliseconds patience, Task done) {
  stopping_ = true;
  stopped_ = std::move(done);
  // A copy: draining may end a connection and change the set.
  const auto connections = connections_;
  for (const auto& [number, connection] : connections) connection->drain();
  stop_timer_ = strand.call_after(patience, [this] {
    stop_timer_ = io::kNoTimer;
    const auto rest = connections_;
    for (const auto& [number, connection] : rest) connection->close({});
  });
  check_stopped();
}

void Worker::check_stopped() {
  if (!stopping_ || !connections_.empty() || !stopped_) return;
  if (stop_timer_ != io::kNoTimer) strand.cancel(std::exchange(stop_timer_, io::kNoTimer));
  std::exchange(stopped_, nullptr)();
}

}  // namespace broker::server
