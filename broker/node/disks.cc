// What the node does about a log directory that fails or is full.
#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/node/node_impl.h"

namespace broker::node {
namespace {

constexpr auto kSpaceCheckInterval = std::chrono::seconds(1);

}  // namespace

void Node::Impl::on_directory_change() {
  const storage::DirectoryHealth& health = logs_->health();
  if (health.is_full()) {
    if (!watching_full_) watch_full_directory();
    return;
  }
  if (!health.is_offline()) {
    if (membership_ != nullptr) membership_->step_aside(false);
    return;
  }
  lost_disk_ = true;
  if (replicating_) replicas_->on_directory_offline();
  const Error why{ErrorCode::kKafkaStorageError, "Shutdown broker because all log dirs in " +
                                                     health.directory() +
                                                     " have failed: " + health.failure()->detail};
  log_error("node", why.detail);
  if (on_fatal_ && !stopping_) on_fatal_(why);
}

/// A broker that takes no records should not lead while others can, and is missing in every ISR
/// that it is in. Where nobody else is in sync it stays, and what it has can be read.
void Node::Impl::watch_full_directory() {
  watching_full_ = logs_->health().is_full() && !stopping_;
  if (!watching_full_) return;
  if (membership_ != nullptr && ready_ && others_can_take_over()) membership_->step_aside(true);
  main().call_after(kSpaceCheckInterval, [this, alive = alive_] {
    if (!*alive) return;
    ports_.workers.run(
        main(), [this] { logs_->health().set_reserve_aside(); },
        [this, alive] {
          if (*alive) watch_full_directory();
        });
  });
}

bool Node::Impl::others_can_take_over() const {
  const auto image = state_.get()->image;
  for (const auto& [id, topic] : image->topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const auto in_sync = [&](BrokerId broker) {
        return std::find(partition.isr.begin(), partition.isr.end(), broker) != partition.isr.end();
      };
      if (!in_sync(config_.node_id)) continue;
      if (std::any_of(partition.isr.begin(), partition.isr.end(), [&](BrokerId broker) {
            return broker != config_.node_id && image->cluster.is_active(broker);
          }))
        return true;
    }
  }
  return false;
}

}  // namespace broker::node
