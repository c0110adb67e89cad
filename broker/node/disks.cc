// What the node does about a log directory that fails or is full.
#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/common/text.h"
#include "broker/metadata/effective_configs.h"
#include "broker/node/node_impl.h"

namespace broker::node {
namespace {

using State = storage::DirectoryHealth::State;

constexpr auto kSpaceCheckInterval = std::chrono::seconds(1);

}  // namespace

void Node::Impl::watch_directories() {
  for (const auto& directory : logs_->directories()) {
    if (directory.manager == nullptr) continue;
    directory.manager->health().on_change([this, alive = alive_] {
      main().post([this, alive] {
        if (*alive) on_directory_change();
      });
    });
  }
  if (logs_->any_full()) watch_full_directories();
}

void Node::Impl::on_directory_change() {
  const auto& all = logs_->directories();
  const bool none_left =
      std::all_of(all.begin(), all.end(), [](const auto& d) { return d.is_offline(); });
  if (none_left || logs_->metadata_is_offline()) {
    lost_disk_ = true;
    const auto failure = logs_->of_metadata().health().failure();
    const std::string reason = failure ? ": " + failure->detail : "";
    const Error why{ErrorCode::kKafkaStorageError,
                    none_left ? "Shutdown broker because all log dirs in " +
                                    join(config_.log_dirs, ",") + " have failed" + reason
                              : "Shutdown broker because the metadata log dir " +
                                    config_.metadata_log_dir + " has failed" + reason};
    if (replicating_) replicas_->on_directory_offline();
    log_error("node", why.detail);
    if (on_fatal_ && !stopping_) on_fatal_(why);
    return;
  }
  if (replicating_ && logs_->any_offline()) replicas_->on_directory_offline();
  report_directories();
  if (logs_->any_full() && !watching_full_) watch_full_directories();
}

/// A full directory whose partitions others can lead is offline for the controller, which moves
/// them. When no other directory is left the broker steps aside as a whole: a registration cannot
/// say "none".
void Node::Impl::report_directories() {
  if (membership_ == nullptr) return;
  const bool any_online = !logs_->ids(State::kOnline).empty();
  std::vector<DirectoryId> usable;
  std::vector<DirectoryId> unusable;
  for (const auto& directory : logs_->directories()) {
    if (directory.manager == nullptr) continue;
    if (!directory.is_full()) set_aside_.erase(directory.id);
    const bool aside = any_online && set_aside_.contains(directory.id);
    (directory.is_offline() || aside ? unusable : usable).push_back(directory.id);
  }
  membership_->set_directories(std::move(usable), std::move(unusable));
  if (any_online) membership_->step_aside(false);
}

/// What takes no records should not lead while others can, and is missing in every ISR that it is
/// in. Where nobody else is in sync it stays, and what it has can be read.
void Node::Impl::watch_full_directories() {
  watching_full_ = logs_->any_full() && !stopping_;
  if (!watching_full_) return;
  bool changed = false;
  if (membership_ != nullptr && ready_) {
    for (const DirectoryId& id : logs_->ids(State::kFull))
      if (others_can_take_over(id)) changed = set_aside_.insert(id).second || changed;
  }
  if (changed) report_directories();
  if (!set_aside_.empty() && logs_->ids(State::kOnline).empty()) membership_->step_aside(true);
  main().call_after(kSpaceCheckInterval, [this, alive = alive_] {
    if (!*alive) return;
    ports_.workers.run(
        main(),
        [this] {
          for (const auto& directory : logs_->directories())
            if (directory.is_full()) directory.manager->health().set_reserve_aside();
        },
        [this, alive] {
          if (*alive) watch_full_directories();
        });
  });
}

/// Of a partition in `directory` that this broker is in sync with.
bool Node::Impl::others_can_take_over(const DirectoryId& directory) const {
  const auto image = state_.get()->image;
  const bool is_only = logs_->directories().size() == 1;
  for (const auto& [id, topic] : image->topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const auto in_sync = [&](BrokerId broker) {
        return std::find(partition.isr.begin(), partition.isr.end(), broker) != partition.isr.end();
      };
      if (!in_sync(config_.node_id)) continue;
      if (!is_only && partition.directory_of(config_.node_id) != directory) continue;
      if (std::any_of(partition.isr.begin(), partition.isr.end(), [&](BrokerId broker) {
            return broker != config_.node_id && image->cluster.is_active(broker);
          }))
        return true;
    }
  }
  return false;
}

void Node::Impl::update_cordoned(const metadata::MetadataImage& image) {
  const metadata::EffectiveConfigs configs(image.configs, config_.node_id, config_.values);
  logs_->set_cordoned(config::to_list(configs.broker("cordoned.log.dirs").value_or("")));
  membership_->set_cordoned(logs_->cordoned());
}

void Node::Impl::describe_directories(
    io::Strand& strand, UniqueFunction<void(std::vector<handlers::LogDirectory>)> done) {
  main().post([this, alive = alive_, &strand, done = std::move(done)]() mutable {
    if (!*alive) return;
    auto described = std::make_shared<std::vector<handlers::LogDirectory>>();
    for (const auto& directory : logs_->directories()) {
      handlers::LogDirectory& one = described->emplace_back();
      one.path = directory.path;
      one.is_offline = directory.is_offline();
      one.is_cordoned = directory.cordoned;
    }
    ports_.workers.run(
        strand,
        [described, disk_space = ports_.disk_space] {
          for (handlers::LogDirectory& one : *described) {
            if (one.is_offline || !disk_space) continue;
            const auto space = disk_space(one.path);
            if (!space) continue;
            one.total_bytes = space->total_bytes;
            one.usable_bytes = space->usable_bytes;
          }
        },
        [described, done = std::move(done)]() mutable { done(std::move(*described)); });
  });
}

}  // namespace broker::node
