#include "broker/replication/partition_table.h"

#include "broker/replication/cleaning_run.h"

namespace broker::replication {

PartitionTable::PartitionTable(Options options, io::Strand& strand, io::WorkerPool& workers,
                               Quotas& quotas, Main main, PeerConnector* peers)
    : options_(options),
      strand_(strand),
      workers_(workers),
      quotas_(quotas),
      main_(std::move(main)) {
  if (peers) fetchers_ = std::make_unique<ReplicaFetchers>(options_.fetchers, *this, *peers);
}

PartitionTable::~PartitionTable() = default;

void PartitionTable::start() {
  retention_timer_ =
      strand_.call_after(options_.retention_check_interval, [this] { check_retention(); });
  isr_timer_ = strand_.call_after(options_.isr_check_interval, [this] { check_isrs(); });
}

void PartitionTable::set_broker_epoch(BrokerEpoch epoch) {
  broker_epoch_ = epoch;
  if (fetchers_) fetchers_->pump();
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
  if (fetchers_) fetchers_->stop({at.topic_id, at.partition});
  waiting_.erase(found->first);
  flushing_.erase(found->first);
  short_isr_.erase(found->first);
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
  retention_timer_ =
      strand_.call_after(options_.retention_check_interval, [this] { check_retention(); });
}

void PartitionTable::check_isrs() {
  for (const auto& [key, partition] : partitions_) partition->check_isr(strand_.now());
  isr_timer_ = strand_.call_after(options_.isr_check_interval, [this] { check_isrs(); });
}

// --- Other replicas

void PartitionTable::on_role(Partition& partition) {
  if (fetchers_) fetchers_->update(partition);
  if (!main_.propose_isr || !partition.has_short_isr()) return;
  short_isr_.emplace(partition.id().topic_id, partition.id().partition);
  if (expansion_timer_ == io::kNoTimer)
    expansion_timer_ = strand_.call_after(options_.expansion_interval, [this] {
      expansion_timer_ = io::kNoTimer;
      try_expansions();
    });
}

// A follower that has all and asks for nothing new is not heard of again, but may have become
// eligible since.
void PartitionTable::try_expansions() {
  for (const Key& key : std::exchange(short_isr_, {})) {
    Partition* partition = find(key.first, key.second);
    if (!partition || !partition->has_short_isr()) continue;
    partition->on_brokers_changed(strand_.now());
    on_role(*partition);
  }
}

void PartitionTable::set_image(metadata::ImagePtr image) {
  const bool brokers_changed = image_->cluster.brokers != image->cluster.brokers;
  image_ = std::move(image);
  if (brokers_changed) try_expansions();
}

void PartitionTable::check_logs() {
  std::vector<std::shared_ptr<Partition>> failed;
  for (const auto& [key, partition] : partitions_)
    if (partition->log() && partition->log()->failed()) failed.push_back(partition);
  for (const auto& partition : failed) {
    partition->go_offline(
        {ErrorCode::kKafkaStorageError, partition->log()->directory() + " is offline"});
    if (fetchers_) fetchers_->update(*partition);
  }
}

void PartitionTable::on_follower_flushed(Partition& partition) {
  if (fetchers_) fetchers_->resume(partition);
}

std::optional<BrokerEpoch> PartitionTable::eligible_epoch(BrokerId broker) const {
  if (broker == options_.node) return broker_epoch_;
  if (!image_->cluster.is_active(broker)) return std::nullopt;
  return image_->cluster.broker(broker)->epoch;
}

std::optional<BrokerId> PartitionTable::preferred_replica(const Partition& partition,
                                                          const std::string& rack,
                                                          Offset offset) const {
  const LeaderState* leader = partition.leader_state();
  if (!options_.rack_aware_reads || rack.empty() || !leader) return std::nullopt;
  const auto in_rack = [&](BrokerId id) {
    const auto* broker = image_->cluster.broker(id);
    return broker && broker->rack == rack && (id == options_.node || !broker->fenced);
  };
  if (in_rack(options_.node)) return std::nullopt;
  std::optional<BrokerId> best;
  Offset best_end{-1};
  for (const BrokerId id : leader->isr()) {
    const auto remote = leader->remotes().find(id);
    if (remote == leader->remotes().end() || !in_rack(id)) continue;
    const RemoteReplica& replica = remote->second;
    if (replica.log_end_offset < offset || replica.log_start_offset > offset) continue;
    if (replica.log_end_offset <= best_end) continue;
    best = id;
    best_end = replica.log_end_offset;
  }
  return best;
}

void PartitionTable::propose_isr(const Partition& partition, std::uint64_t number,
                                 IsrChange change) {
  if (!main_.propose_isr) return;
  const PartitionKey key{partition.id().topic_id, partition.id().partition};
  main_.propose_isr(key, std::move(change), [this, key, number](const IsrDecision& decision) {
    if (Partition* partition = find(key.topic_id, key.partition))
      partition->on_isr_decision(number, decision, strand_.now());
  });
}

void PartitionTable::verify_transaction(const Partition& partition, TransactionCheck check,
                                        Verified done) {
  TransactionVerifier* verifier = main_.verifier ? main_.verifier() : nullptr;
  if (!verifier) return done(ErrorCode::kInvalidTxnState);
  verifier->verify({partition.id().topic, partition.id().partition}, std::move(check),
                   std::move(done));
}

void PartitionTable::checkpoint(const Partition& partition,
                                UniqueFunction<void(const Result<void>&)> done) {
  main_.checkpoint(partition.positions(), std::move(done));
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
        tell_if_idle();
      });
}

// --- Compaction

CleaningSurvey PartitionTable::survey_cleaning() {
  CleaningSurvey survey;
  for (const auto& [key, partition] : partitions_) {
    const auto what = partition->cleanable(strand_.wall_now());
    if (!what) continue;
    survey.max_dirty_ratio = std::max(survey.max_dirty_ratio, what->dirty_ratio());
    survey.max_compaction_delay_ms =
        std::max(survey.max_compaction_delay_ms, what->compaction_delay_ms);
    if (!what->due) continue;
    if (!survey.filthiest || what->dirty_ratio() > survey.filthiest->what.dirty_ratio())
      survey.filthiest = CleaningCandidate{this, partition->id(), *what};
  }
  return survey;
}

void PartitionTable::clean(const TopicIdPartition& at, const CleaningPace& pace,
                           UniqueFunction<void(CleaningOutcome)> done) {
  const auto found = partitions_.find({at.topic_id, at.partition});
  // Time has passed since the survey.
  const auto what = found == partitions_.end() || idle_
                        ? std::nullopt
                        : found->second->cleanable(strand_.wall_now());
  if (!what || !what->due) return done({.result = {}, .given_up = true});
  struct Handle {
    std::weak_ptr<CleaningRun> run;
  };
  auto handle = std::make_shared<Handle>();
  auto run = std::make_shared<CleaningRun>(
      found->second, strand_, workers_, pace,
      [this, handle, done = std::move(done)](CleaningOutcome outcome) mutable {
        cleanings_.erase(handle->run.lock());
        done(std::move(outcome));
        tell_if_idle();
      });
  handle->run = run;
  cleanings_.insert(run);
  run->start(*what);
}

void PartitionTable::tell_if_idle() {
  if (flushes_under_way_ == 0 && cleanings_.empty() && idle_) std::exchange(idle_, nullptr)();
}

// --- Collection

void PartitionTable::collect(MetricsSnapshot& into) const {
  for (const auto& [name, topic] : topics_) into.topics[name] += *topic.counters;
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
  for (io::TimerId* timer :
       {&retention_timer_, &waiter_timer_, &flush_timer_, &isr_timer_, &expansion_timer_}) {
    strand_.cancel(*timer);
    *timer = io::kNoTimer;
  }
  if (fetchers_) fetchers_->shut_down();
  while (!partitions_.empty()) {
    const TopicIdPartition at = partitions_.begin()->second->id();
    remove(at, reason);
  }
  idle_ = std::move(idle);
  const auto cleanings = cleanings_;
  for (const auto& run : cleanings) run->give_up();
  tell_if_idle();
}

}  // namespace broker::replication
