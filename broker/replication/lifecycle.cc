// The part of ReplicaManager that follows the cluster's metadata: which partitions live here, in
// which role, and when their logs come and go.
#include "broker/common/log.h"
#include "broker/metadata/effective_configs.h"
#include "broker/metadata/features.h"
#include "broker/replication/isr_batcher.h"
#include "broker/replication/log_cleaner.h"
#include "broker/replication/partition_table.h"
#include "broker/replication/replica_manager.h"
#include "broker/replication/replica_sessions.h"
#include "broker/replication/topic_settings.h"

namespace broker::replication {

namespace {

TopicPartition name_of(const TopicIdPartition& at) { return {at.topic, at.partition}; }

bool same_positions(const storage::LogPositions& a, const storage::LogPositions& b) {
  return a.recovery_point == b.recovery_point && a.log_start_offset == b.log_start_offset &&
         a.high_watermark == b.high_watermark && a.log_start_was_raised == b.log_start_was_raised &&
         a.first_dirty_offset == b.first_dirty_offset;
}

}  // namespace

struct ReplicaManager::Assignment {
  TopicIdPartition at;
  metadata::PartitionRegistration registration;
  std::shared_ptr<storage::Log> log;  // null: it could not be opened
  std::optional<Error> failure;
  Partition::Settings settings;
  storage::LogOptions options;
  Offset high_watermark;
  LeadershipListener* listener = nullptr;

  void carry_out(PartitionTable& table, BrokerId node) {
    Partition& partition = table.find_or_create(at);
    const std::optional<LeaderEpoch> before = partition.leader_epoch();
    if (log) {
      take_role(table, partition, node);
    } else {
      partition.go_offline(*failure);
      if (registration.leader != node) partition.stop(ErrorCode::kNotLeaderOrFollower);
    }
    const std::optional<LeaderEpoch> after = partition.leader_epoch();
    if (!listener || before == after) return;
    if (after)
      listener->on_become_leader(partition, *after);
    else
      listener->on_resign(partition);
  }

  void take_role(PartitionTable& table, Partition& partition, BrokerId node) {
    const Instant now = table.strand().now();
    if (registration.leader == node)
      partition.become_leader(log, registration, settings, high_watermark, now);
    else
      partition.become_follower(log, registration, settings, high_watermark, now);
    partition.update_settings(settings, options, now);
    table.on_settings(partition);
    table.on_role(partition);
  }
};

storage::LogOptions ReplicaManager::log_options(const metadata::MetadataImage& image,
                                                std::string_view topic) const {
  const metadata::EffectiveConfigs configs(image.configs, options_.node, options_.static_config);
  return to_log_options(configs.topic(topic), options_.producer_id_expiration_ms);
}

void ReplicaManager::start() {
  strands_.main().check_current();
  for (const auto& table : tables_) run_on(table->strand(), [&table] { table->start(); });
  cleaner_->start();
  run_periodically();
}

void ReplicaManager::set_broker_epoch(BrokerEpoch epoch) {
  strands_.main().check_current();
  if (isr_batcher_) isr_batcher_->set_broker_epoch(epoch);
  for (const auto& table : tables_)
    run_on(table->strand(), [table = table.get(), epoch] { table->set_broker_epoch(epoch); });
}

void ReplicaManager::listen(const std::string& topic, LeadershipListener& listener) {
  strands_.main().check_current();
  listeners_[topic] = &listener;
}

std::set<ReplicaManager::Key> ReplicaManager::affected(
    const metadata::MetadataUpdate& update) const {
  std::set<Key> keys;
  for (const auto& [topic, partitions] : update.changes.partitions)
    for (const std::int32_t partition : partitions) keys.emplace(topic, partition);
  bool broker_configs_changed = false;
  std::set<std::string> topics_reconfigured;
  for (const metadata::ConfigResource& resource : update.changes.configs) {
    if (resource.type == metadata::ConfigResourceType::kTopic)
      topics_reconfigured.insert(resource.name);
    if (resource.type == metadata::ConfigResourceType::kBroker) broker_configs_changed = true;
  }
  const bool any = broker_configs_changed || !topics_reconfigured.empty() ||
                   !update.changes.topics_deleted.empty();
  if (!any) return keys;
  for (const auto& [key, at] : hosted_)
    if (broker_configs_changed || topics_reconfigured.contains(at.topic) ||
        update.changes.topics_deleted.contains(key.first))
      keys.insert(key);
  return keys;
}

void ReplicaManager::apply(const metadata::MetadataUpdate& update, Task on_applied) {
  strands_.main().check_current();
  applied_ = update.image;
  if (!stopping_) {
    const metadata::EffectiveConfigs configs = applied_configs();
    if (!update.changes.configs.empty()) {
      update_quotas(configs);
      cleaner_->update(cleaner_settings(configs));
    }
    for (const Key& key : affected(update)) update_partition(key, configs);
  }
  // Behind the roles in each mailbox: whoever sees this image sees partitions that reflect it.
  auto left = std::make_shared<std::size_t>(tables_.size());
  auto done = std::make_shared<Task>(std::move(on_applied));
  for (const auto& table : tables_) {
    run_on(table->strand(), [this, table = table.get(), image = update.image, left, done] {
      table->set_image(image);
      run_on(strands_.main(), [left, done] {
        if (--*left == 0 && *done) std::exchange(*done, nullptr)();
      });
    });
  }
}

metadata::EffectiveConfigs ReplicaManager::applied_configs() const {
  return {applied_->configs, options_.node, options_.static_config};
}

void ReplicaManager::update_partition(const Key& key, const metadata::EffectiveConfigs& configs) {
  const metadata::TopicImage* topic = applied_->topics.find(key.first);
  const metadata::PartitionRegistration* registration =
      topic ? topic->partitions.find(key.second) : nullptr;
  const auto hosted = hosted_.find(key);
  if (registration && registration->has_replica(options_.node)) {
    const TopicIdPartition at{key.first, topic->name, key.second};
    // A topic that was created again under its name: first the old log must go.
    if (leaving_.contains(name_of(at))) return;
    hosted_[key] = at;
    return assign(at, *registration, configs.topic(topic->name));
  }
  if (hosted == hosted_.end()) return;
  const TopicIdPartition at = hosted->second;
  hosted_.erase(hosted);
  give_up(at);
}

void ReplicaManager::assign(const TopicIdPartition& at,
                            const metadata::PartitionRegistration& registration,
                            const config::TopicConfig& config) {
  Assignment assignment;
  assignment.at = at;
  assignment.registration = registration;
  assignment.settings = to_settings(config, options_.replica_lag_time_max);
  assignment.settings.verify_transactions = verify_transactions_;
  const auto names_this_replica = [&](const char* key) {
    const config::ConfigMap& keys =
        applied_->configs.of({metadata::ConfigResourceType::kTopic, at.topic});
    const auto list = keys.find(key);
    return list != keys.end() && is_throttled_replica(list->second, at.partition, options_.node);
  };
  assignment.settings.throttled_as_leader =
      names_this_replica("leader.replication.throttled.replicas");
  assignment.settings.throttled_as_follower =
      names_this_replica("follower.replication.throttled.replicas");
  assignment.options = to_log_options(config, options_.producer_id_expiration_ms);
  const auto listener = listeners_.find(at.topic);
  if (listener != listeners_.end()) assignment.listener = listener->second;
  const WallMs now = strands_.main().wall_now();
  const DirectoryId assigned = registration.directory_of(options_.node);
  auto log = logs_.create(name_of(at), at.topic_id, assignment.options, assigned, now);
  // The directory of an earlier topic of this name, deleted while this broker was away.
  if (log.code() == ErrorCode::kInconsistentTopicId && remove_strays().ok())
    log = logs_.create(name_of(at), at.topic_id, assignment.options, assigned, now);
  if (log.ok()) {
    report_directory(at, assigned);
    assignment.log = *log;
    assignment.high_watermark = logs_.checkpointed_high_watermark(**log);
  } else {
    assignment.failure = log.error();
  }
  PartitionTable& table = home_table(at);
  run_on(table.strand(),
         [&table, node = options_.node, assignment = std::move(assignment)]() mutable {
           assignment.carry_out(table, node);
         });
}

void ReplicaManager::report_directory(const TopicIdPartition& at, const DirectoryId& assigned) {
  const auto actual = logs_.directory_of(name_of(at));
  if (ports_.directories == nullptr || !actual || *actual == assigned) return;
  if (applied_->features.metadata_version() < metadata::kMetadataVersion3_7_IV2) return;
  ports_.directories->on_placed({at.topic_id, at.partition}, *actual);
}

void ReplicaManager::give_up(const TopicIdPartition& at) {
  leaving_.insert(name_of(at));
  PartitionTable& table = home_table(at);
  const auto listener = listeners_.find(at.topic);
  LeadershipListener* told = listener == listeners_.end() ? nullptr : listener->second;
  run_on(table.strand(), [this, &table, at, told] {
    Partition* partition = table.find(at.topic_id, at.partition);
    if (partition && partition->is_leader() && told) told->on_resign(*partition);
    table.remove(at, ErrorCode::kNotLeaderOrFollower);
    run_on(strands_.main(), [this, at] { on_given_up(at); });
  });
}

void ReplicaManager::on_given_up(const TopicIdPartition& at) {
  leaving_.erase(name_of(at));
  checkpointed_.erase(name_of(at));
  if (stopping_) return;
  const std::int64_t delay = log_options(*applied_, at.topic).file_delete_delay_ms;
  const Result<void> removed = logs_.remove(name_of(at), delay, strands_.main().wall_now());
  if (!removed.ok())
    log_error("replication", "cannot remove a partition's log",
              {{"partition", to_string(at)}, {"reason", to_string(removed.error())}});
  // Whoever has taken over the name meanwhile may have its log now.
  if (const metadata::TopicImage* topic = applied_->topics.find(at.topic))
    update_partition({topic->id, at.partition}, applied_configs());
}

Result<void> ReplicaManager::remove_strays() {
  strands_.main().check_current();
  const auto belongs = [this](const TopicPartition& partition, TopicId id) {
    const auto* registration = applied_->topics.partition(id, partition.partition);
    return registration && registration->has_replica(options_.node);
  };
  auto moved = logs_.move_strays_away(belongs);
  if (!moved.ok()) return moved.error();
  for (const TopicPartition& partition : *moved)
    log_warn("replication", "moved away the log of a partition that is not ours",
             {{"partition", to_string(partition)}});
  return {};
}

void ReplicaManager::on_directory_offline() {
  strands_.main().check_current();
  for (const auto& table : tables_)
    run_on(table->strand(), [table = table.get()] { table->check_logs(); });
}

// --- Checkpoints and the end

void ReplicaManager::run_periodically() {
  checkpoint_timer_ = strands_.main().call_after(options_.checkpoint_interval, [this] {
    auto left = std::make_shared<std::size_t>(tables_.size());
    auto all = std::make_shared<std::vector<storage::LogPositions>>();
    for (const auto& table : tables_) {
      run_on(table->strand(), [this, table = table.get(), left, all] {
        run_on(strands_.main(), [this, left, all, positions = table->positions()] {
          all->insert(all->end(), positions.begin(), positions.end());
          if (--*left > 0 || stopping_) return;
          checkpoint_changes(*all);
          run_periodically();
        });
      });
    }
  });
}

// An idle broker writes nothing.
void ReplicaManager::checkpoint_changes(const std::vector<storage::LogPositions>& positions) {
  std::vector<storage::LogPositions> changed;
  for (const storage::LogPositions& position : positions) {
    const auto known = checkpointed_.find(position.partition);
    if (known == checkpointed_.end() || !same_positions(known->second, position))
      changed.push_back(position);
  }
  const WallMs now = strands_.main().wall_now();
  Result<void> done = logs_.remove_doomed(now);
  if (done.ok() && !changed.empty()) done = logs_.checkpoint(changed);
  if (!done.ok())
    return log_error("replication", "cannot write the log directory's checkpoints",
                     {{"reason", to_string(done.error())}});
  for (const storage::LogPositions& position : changed)
    checkpointed_[position.partition] = position;
}

void ReplicaManager::shut_down(std::optional<BrokerEpoch> epoch,
                               UniqueFunction<void(Result<void>)> done) {
  strands_.main().check_current();
  CHECK(!stopping_);
  stopping_ = true;
  strands_.main().cancel(checkpoint_timer_);
  cleaner_->stop();
  if (isr_batcher_) isr_batcher_->shut_down();
  struct Stopping {
    std::size_t left;
    std::vector<storage::LogPositions> positions;
    UniqueFunction<void(Result<void>)> done;
  };
  auto stopping = std::make_shared<Stopping>();
  stopping->left = tables_.size();
  stopping->done = std::move(done);
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    run_on(strands_.shard(i), [this, i, table = tables_[i].get(), stopping, epoch] {
      for (const auto& [key, partition] : table->partitions()) {
        const auto listener = listeners_.find(partition->id().topic);
        if (listener != listeners_.end() && partition->is_leader())
          listener->second->on_resign(*partition);
      }
      std::vector<storage::LogPositions> positions = table->positions();
      sessions_[i]->shut_down();
      table->shut_down(ErrorCode::kNotLeaderOrFollower, [this, stopping, epoch,
                                                         positions = std::move(positions)] {
        run_on(strands_.main(), [this, stopping, epoch, positions] {
          stopping->positions.insert(stopping->positions.end(), positions.begin(), positions.end());
          if (--stopping->left > 0) return;
          checkpoint_changes(stopping->positions);
          finish_shut_down(epoch, std::move(stopping->done));
        });
      });
    });
  }
}

void ReplicaManager::finish_shut_down(std::optional<BrokerEpoch> epoch,
                                      UniqueFunction<void(Result<void>)> done) {
  hosted_.clear();
  done(logs_.shut_down(epoch, strands_.main().wall_now()));
}

}  // namespace broker::replication
