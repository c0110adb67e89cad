#include "broker/replication/partition_table.h"

namespace broker::replication {

PartitionTable::PartitionTable(Options options, io::Strand& strand, io::WorkerPool& workers)
    : options_(options), strand_(strand), workers_(workers) {}

PartitionTable::~PartitionTable() = default;

void PartitionTable::start() {
  retention_timer_ =
      strand_.call_after(options_.retention_check_interval, [this] { check_retention(); });
}

Partition* PartitionTable::find(const TopicId& topic, std::int32_t partition) const {
  const auto at = partitions_.find({topic, partition});
  return at == partitions_.end() ? nullptr : at->second.get();
}

Partition& PartitionTable::find_or_create(const TopicIdPartition& at) {
  std::shared_ptr<Partition>& partition = partitions_[{at.topic_id, at.partition}];
  if (!partition) {
    Topic& topic = topics_[at.topic];
    ++topic.partitions;
    partition = std::make_shared<Partition>(at, options_.node, *this, topic.counters);
  }
  return *partition;
}

void PartitionTable::remove(const TopicIdPartition& at, ErrorCode reason) {
  const auto found = partitions_.find({at.topic_id, at.partition});
  if (found == partitions_.end()) return;
  // Out of the table first: whom stop() wakes must not find it any more.
  const std::shared_ptr<Partition> partition = std::move(found->second);
  waiting_.erase(found->first);
  flushing_.erase(found->first);
  partitions_.erase(found);
  partition->stop(reason);
  const auto topic = topics_.find(at.topic);
  if (topic != topics_.end() && --topic->second.partitions == 0) topics_.erase(topic);
}

// --- Timers

void PartitionTable::on_waiting(const Partition& partition) {
  waiting_.emplace(partition.id().topic_id, partition.id().partition);
  if (waiter_timer_ == io::kNoTimer)
    waiter_timer_ = strand_.call_after(options_.waiter_check_interval, [this] { check_waiters(); });
}

void PartitionTable::on_settings(const Partition& partition) {
  if (!partition.log() || partition.log()->options().flush_ms == INT64_MAX) return;
  flushing_.emplace(partition.id().topic_id, partition.id().partition);
  if (flush_timer_ == io::kNoTimer)
    flush_timer_ = strand_.call_after(options_.flush_check_interval, [this] { check_flushes(); });
}

void PartitionTable::check_waiters() {
  waiter_timer_ = io::kNoTimer;
  const std::set<Key> waiting = std::exchange(waiting_, {});
  for (const Key& key : waiting) {
    Partition* partition = find(key.first, key.second);
    if (!partition) continue;
    partition->expire_waiters(strand_.now());
    if (partition->produce_waiter_count() > 0) on_waiting(*partition);
  }
}

void PartitionTable::check_flushes() {
  flush_timer_ = io::kNoTimer;
  const std::set<Key> flushing = std::exchange(flushing_, {});
  for (const Key& key : flushing) {
    Partition* partition = find(key.first, key.second);
    if (!partition) continue;
    partition->flush_if_due(strand_.wall_now());
    on_settings(*partition);
  }
}

void PartitionTable::check_retention() {
  for (const auto& [key, partition] : partitions_) partition->clean(strand_.wall_now());
  start();
}

// --- Flushes

void PartitionTable::run_flush(storage::FlushJob job, Done done) {
  struct Flight {
    storage::FlushJob job;
    Result<void> outcome;
  };
  auto flight = std::make_shared<Flight>();
  flight->job = std::move(job);
  ++flushes_under_way_;
  workers_.run(
      strand_, [flight] { flight->outcome = flight->job.run(); },
      [this, flight, done = std::move(done)]() mutable {
        --flushes_under_way_;
        done(flight->job, flight->outcome, strand_.now(), strand_.wall_now());
        if (flushes_under_way_ == 0 && idle_) std::exchange(idle_, nullptr)();
      });
}

// --- Collection

void PartitionTable::collect(MetricsSnapshot& into) const {
  for (const auto& [name, topic] : topics_) into.topics[name] += topic.counters;
  for (const auto& [key, partition] : partitions_) {
    into.partitions.push_back(partition->gauges());
    into.produce_waiters += partition->produce_waiter_count();
    into.fetch_waiters += partition->fetch_waiter_count();
  }
}

std::vector<storage::LogPositions> PartitionTable::positions() const {
  std::vector<storage::LogPositions> positions;
  for (const auto& [key, partition] : partitions_)
    if (partition->log()) positions.push_back(partition->positions());
  return positions;
}

void PartitionTable::shut_down(ErrorCode reason, Task idle) {
  for (io::TimerId* timer : {&retention_timer_, &waiter_timer_, &flush_timer_}) {
    strand_.cancel(*timer);
    *timer = io::kNoTimer;
  }
  while (!partitions_.empty()) {
    const TopicIdPartition at = partitions_.begin()->second->id();
    remove(at, reason);
  }
  idle_ = std::move(idle);
  if (flushes_under_way_ == 0) std::exchange(idle_, nullptr)();
}

}  // namespace broker::replication
