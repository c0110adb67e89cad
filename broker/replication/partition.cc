#include "broker/replication/partition.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"

namespace broker::replication {

Result<Acks> parse_acks(std::int16_t acks) {
  if (acks < -1 || acks > 1) return ErrorCode::kInvalidRequiredAcks;
  return static_cast<Acks>(acks);
}

Partition::Partition(TopicIdPartition id, BrokerId self, PartitionHost& host,
                     std::shared_ptr<TopicCounters> counters)
    : id_(std::move(id)), self_(self), host_(host), counters_(std::move(counters)) {}

Partition::~Partition() = default;

std::optional<LeaderEpoch> Partition::leader_epoch() const {
  return leader_ ? std::optional(leader_->epoch()) : std::nullopt;
}

Offset Partition::last_stable_offset() {
  if (!log_ || has_defect(Defect::kUnstableRead)) return high_watermark_;
  const std::optional<Offset> unstable = log_->first_unstable_offset(high_watermark_);
  if (!unstable) return high_watermark_;
  return std::min(std::max(*unstable, log_->log_start_offset()), high_watermark_);
}

Offset Partition::written_end() const {
  return settings_.flush_before_ack ? std::min(log_->recovery_point(), log_->log_end_offset())
                                    : log_->log_end_offset();
}

CurrentLeader Partition::current_leader() const { return known_leader_; }

// --- Roles

void Partition::set_role(std::shared_ptr<storage::Log> log,
                         const metadata::PartitionRegistration& registration,
                         const Settings& settings, Offset high_watermark) {
  CHECK(log != nullptr);
  const bool first_role = log_ == nullptr;
  log_ = std::move(log);
  settings_ = settings;
  known_leader_ = {registration.leader, registration.leader_epoch};
  offline_ = log_->failed();
  if (!first_role) return;
  high_watermark_ = std::clamp(high_watermark, log_->log_start_offset(), log_->log_end_offset());
}

void Partition::become_leader(std::shared_ptr<storage::Log> log,
                              const metadata::PartitionRegistration& registration,
                              const Settings& settings, Offset high_watermark, Instant now) {
  set_role(std::move(log), registration, settings, high_watermark);
  LeaderState::Membership membership{registration.leader_epoch, registration.partition_epoch,
                                     registration.replicas, registration.isr,
                                     registration.leader_recovery_state};
  if (leader_ && leader_->epoch() == registration.leader_epoch) {
    leader_->update(std::move(membership), now);
  } else {
    end_verifications(ErrorCode::kNotLeaderOrFollower);
    leader_.emplace(self_, std::move(membership), log_->log_end_offset(), now);
    log_->assign_epoch_start(registration.leader_epoch);
    wake_consumers(0, true);
    wake_replicas(0, true);
  }
  propose(leader_->propose_recovered(eligible()));
  flush_if_behind();
  advance_high_watermark(now);
}

void Partition::become_follower(std::shared_ptr<storage::Log> log,
                                const metadata::PartitionRegistration& registration,
                                const Settings& settings, Offset high_watermark, Instant) {
  const CurrentLeader before = known_leader_;
  set_role(std::move(log), registration, settings, high_watermark);
  if (leader_) {
    leader_.reset();
    proposed_.reset();
    fail_waiters(ErrorCode::kNotLeaderOrFollower);
  } else if (known_leader_ != before) {
    wake_consumers(0, true);  // those that read from this follower
  }
  if (known_leader_ != before) leader_high_watermark_ = Offset{-1};
}

void Partition::stop(ErrorCode reason) {
  leader_.reset();
  fail_waiters(reason);
  log_.reset();
}

void Partition::go_offline(const Error& why) {
  if (offline_) return;
  offline_ = true;
  log_error("replication", "partition is offline: its log failed",
            {{"partition", to_string(id_)}, {"reason", to_string(why)}});
  fail_waiters(ErrorCode::kKafkaStorageError);
}

void Partition::update_settings(const Settings& settings, storage::LogOptions options,
                                Instant now) {
  settings_ = settings;
  if (!log_) return;
  log_->update_options(std::move(options));
  flush_if_behind();
  // A lower min.insync.replicas may let go on what stood still.
  advance_high_watermark(now);
}

void Partition::fail_waiters(ErrorCode reason) {
  end_verifications(reason);
  for (AppendWaiters* waiters : {&all_waiters_, &flush_waiters_}) {
    AppendWaiters failed;
    failed.swap(*waiters);
    for (AppendWaiter& waiter : failed) waiter.callback(refuse(reason));
  }
  wake_consumers(0, true);
  wake_replicas(0, true);
}

Result<void> Partition::check_leader(const std::optional<LeaderEpoch>& epoch) const {
  if (offline_) return ErrorCode::kKafkaStorageError;
  if (!leader_) return ErrorCode::kNotLeaderOrFollower;
  if (epoch && *epoch < leader_->epoch()) return ErrorCode::kFencedLeaderEpoch;
  if (epoch && *epoch > leader_->epoch()) return ErrorCode::kUnknownLeaderEpoch;
  return {};
}

// --- Append

ProduceResult Partition::refuse(ErrorCode error, std::string message) const {
  ProduceResult result;
  result.error = error;
  result.message = std::move(message);
  result.current_leader = current_leader();
  return result;
}

void Partition::append(const Slice& records, Acks acks, AppendOrigin origin,
                       std::chrono::milliseconds timeout, Instant now, WallMs wall,
                       AppendCallback callback) {
  ++counters_->produce_requests;
  const auto fail = [&](ProduceResult result) {
    ++counters_->failed_produce_requests;
    callback(std::move(result));
  };
  const Result<void> leads = check_leader(std::nullopt);
  if (!leads.ok()) return fail(refuse(leads.code()));
  if (acks == Acks::kAll && !leader_->has_enough_replicas(settings_.min_insync_replicas))
    return fail(refuse(ErrorCode::kNotEnoughReplicas,
                       "The size of the current ISR is insufficient to satisfy "
                       "min.insync.replicas for partition " +
                           to_string(id_)));
  if (!is_verified(records))
    return fail(refuse(ErrorCode::kInvalidTxnState,
                       "the transaction coordinator was not asked about this partition"));
  std::vector<RecordError> record_errors;
  leader_->before_append(log_->log_end_offset());
  const Result<storage::AppendInfo> appended =
      log_->append_as_leader(records, leader_->epoch(), origin, wall, &record_errors);
  if (!note_failure(appended).ok()) {
    ProduceResult result = refuse(appended.code(), appended.error().detail);
    result.record_errors = std::move(record_errors);
    result.log_start_offset = log_ ? log_->log_start_offset() : Offset{-1};
    return fail(std::move(result));
  }

  counters_->bytes_in += static_cast<std::int64_t>(appended->bytes);
  if (!appended->duplicate)
    counters_->messages_in += appended->last_offset - appended->first_offset + 1;
  bytes_above_high_watermark_ += static_cast<std::int64_t>(appended->bytes);
  AppendWaiter waiter;
  waiter.end = appended->last_offset + 1;
  waiter.deadline = now + timeout;
  waiter.result.base_offset = appended->first_offset;
  waiter.result.log_append_time = appended->log_append_time;
  waiter.result.log_start_offset = appended->log_start_offset;
  waiter.callback = std::move(callback);

  if (settings_.flush_before_ack || log_->flush_due(wall)) start_flush();
  wake_replicas(static_cast<std::int64_t>(appended->bytes), false);
  advance_high_watermark(now);
  acknowledge(acks, std::move(waiter));
}

void Partition::acknowledge(Acks acks, AppendWaiter waiter) {
  switch (acks) {
    case Acks::kNone:
      return waiter.callback(std::move(waiter.result));
    case Acks::kLeader:
      if (log_ && waiter.end > written_end()) return park(flush_waiters_, std::move(waiter));
      return waiter.callback(std::move(waiter.result));
    case Acks::kAll:
      if (waiter.end > high_watermark_) return park(all_waiters_, std::move(waiter));
      return waiter.callback(final_result(std::move(waiter.result)));
  }
}

void Partition::park(AppendWaiters& waiters, AppendWaiter waiter) {
  waiters.push_back(std::move(waiter));
  host_.on_waiting(*this);
}

// The ISR may have shrunk while the records travelled.
ProduceResult Partition::final_result(ProduceResult result) const {
  if (leader_ && !leader_->had_enough_replicas(settings_.min_insync_replicas)) {
    result.error = ErrorCode::kNotEnoughReplicasAfterAppend;
    result.message = "Messages are written to the log, but to fewer in-sync replicas than required";
  }
  return result;
}

// Callbacks may append again, so what is answered leaves the queue first.
void Partition::answer_reached(AppendWaiters& waiters, Offset reached) {
  while (!waiters.empty() && waiters.front().end <= reached) {
    AppendWaiter done = std::move(waiters.front());
    waiters.pop_front();
    const bool all = &waiters == &all_waiters_;
    done.callback(all ? final_result(std::move(done.result)) : std::move(done.result));
  }
}

void Partition::advance_high_watermark(Instant now) {
  if (!leader_ || offline_) return;
  const Offset next =
      leader_->next_high_watermark(high_watermark_, written_end(), settings_.min_insync_replicas,
                                   settings_.replica_lag_time_max, eligible(), now);
  if (next == high_watermark_) return;
  high_watermark_ = next;
  (void)log_->first_unstable_offset(next);  // forgets what is decided for good
  const std::int64_t bytes = std::max<std::int64_t>(1, bytes_above_high_watermark_);
  bytes_above_high_watermark_ = 0;
  answer_reached(all_waiters_, next);
  wake_consumers(bytes, false);
  tell_subscribers(ReplicaSubscriber::News::kHighWatermark);
}

void Partition::expire_waiters(Instant now) {
  std::vector<AppendCallback> expired;
  for (AppendWaiters* waiters : {&all_waiters_, &flush_waiters_}) {
    AppendWaiters rest;
    for (AppendWaiter& waiter : *waiters) {
      if (waiter.deadline <= now)
        expired.push_back(std::move(waiter.callback));
      else
        rest.push_back(std::move(waiter));
    }
    waiters->swap(rest);
  }
  for (AppendCallback& callback : expired) {
    ++counters_->failed_produce_requests;
    callback(refuse(ErrorCode::kRequestTimedOut));
  }
}

// --- Flushing

// One flush at a time; what is appended meanwhile goes with the next: group commit.
void Partition::start_flush() {
  if (!log_ || offline_) return;
  if (flushing_) {
    flush_again_ = true;
    return;
  }
  Result<storage::FlushJob> job = log_->prepare_flush();
  if (!note_failure(job).ok()) return;
  flushing_ = true;
  flush_again_ = false;
  host_.run_flush(std::move(*job),
                  [weak = weak_from_this()](const storage::FlushJob& done,
                                            const Result<void>& outcome, Instant now, WallMs at) {
                    if (const auto self = weak.lock()) self->on_flushed(done, outcome, now, at);
                  });
}

void Partition::on_flushed(const storage::FlushJob& job, const Result<void>& outcome, Instant now,
                           WallMs wall) {
  flushing_ = false;
  if (!log_) return;
  const Result<void> completed = log_->complete_flush(job, outcome, wall);
  if (!note_failure(completed).ok()) return;
  if (flush_again_) start_flush();
  if (!leader_) return host_.on_follower_flushed(*this);
  answer_reached(flush_waiters_, written_end());
  advance_high_watermark(now);
}

// What was recovered, or written before flush.messages became 1, must not wait for the next append:
// a follower does not even ask for it before.
void Partition::flush_if_behind() {
  if (settings_.flush_before_ack && written_end() < log_->log_end_offset()) start_flush();
}

void Partition::flush_if_due(WallMs wall) {
  if (log_ && !offline_ && log_->flush_due(wall)) start_flush();
}

// --- Fetch

Offset Partition::fetch_bound(const Reader& reader, Isolation isolation) {
  if (reader.is_replica()) return log_->log_end_offset();
  return isolation == Isolation::kReadCommitted ? last_stable_offset() : high_watermark_;
}

std::optional<EpochEndOffset> Partition::diverging_epoch(const FetchPosition& from) const {
  if (!from.last_fetched_epoch) return std::nullopt;
  const auto end = log_->end_offset_for_epoch(*from.last_fetched_epoch);
  if (!end) return std::nullopt;
  if (end->epoch == *from.last_fetched_epoch && end->end_offset >= from.offset) return std::nullopt;
  return EpochEndOffset{end->epoch, end->end_offset};
}

// A follower serves consumers that know how to come back to the leader (KIP-392).
Result<void> Partition::check_reader(const Reader& reader,
                                     const std::optional<LeaderEpoch>& epoch) const {
  if (leader_ || !reader.from_any_replica || offline_ || known_leader_.leader == self_ ||
      known_leader_.leader.value < 0 || !log_)
    return check_leader(epoch);
  if (epoch && *epoch < known_leader_.epoch) return ErrorCode::kFencedLeaderEpoch;
  if (epoch && *epoch > known_leader_.epoch) return ErrorCode::kUnknownLeaderEpoch;
  return {};
}

void Partition::read_records(FetchResult& result, Offset from, Offset bound, std::int32_t max_bytes,
                             bool at_least_one, Isolation isolation, storage::ReadAs as) {
  if (from >= bound || (max_bytes <= 0 && !at_least_one)) return;
  Result<storage::ReadResult> read =
      log_->read(from, bound, static_cast<std::size_t>(std::max(max_bytes, 0)), at_least_one, as);
  if (!note_failure(read).ok()) {
    result.error = read.code();
    return;
  }
  if (isolation == Isolation::kReadCommitted && !read->records.empty()) {
    const auto aborted = log_->aborted_transactions(from, read->next_offset);
    if (!note_failure(aborted).ok()) {
      result.error = aborted.code();
      return;
    }
    for (const storage::AbortedTxn& txn : *aborted)
      result.aborted.push_back({txn.producer_id, txn.first_offset});
  }
  result.records = std::move(read->records);
}

FetchResult Partition::fetch(const Reader& reader, const FetchPosition& from,
                             std::int32_t max_bytes, bool at_least_one, Isolation isolation,
                             Instant now) {
  FetchResult result;
  const auto fail = [&](ErrorCode error) {
    ++counters_->failed_fetch_requests;
    result = {};
    result.error = error;
    result.current_leader = current_leader();
    return result;
  };
  const Result<void> served = check_reader(reader, from.current_leader_epoch);
  if (!served.ok()) return fail(served.code());
  result.diverging_epoch = diverging_epoch(from);
  if (!result.diverging_epoch) {
    if (from.offset < log_->log_start_offset() || from.offset > log_->log_end_offset())
      return fail(ErrorCode::kOffsetOutOfRange);
    const bool by_reference = reader.takes_file_ranges && !reader.is_replica();
    read_records(result, from.offset, fetch_bound(reader, isolation), max_bytes, at_least_one,
                 isolation, by_reference ? storage::ReadAs::kFileRange : storage::ReadAs::kBytes);
    if (result.error != ErrorCode::kNone) return fail(result.error);
    if (reader.is_replica()) note_fetch(reader, from.offset, Offset{-1}, nullptr, now);
  }
  result.high_watermark = high_watermark_;
  result.last_stable_offset = last_stable_offset();
  result.log_start_offset = log_->log_start_offset();
  return result;
}

ListOffsetsResult Partition::list_offset(const Reader& reader, const ListOffsetsPartition& asked,
                                         Isolation isolation) {
  ListOffsetsResult result;
  const Result<void> leads = check_leader(asked.current_leader_epoch);
  if (!leads.ok()) {
    result.error = leads.code();
    return result;
  }
  const Offset bound = fetch_bound(reader, isolation);
  if (asked.timestamp == kLatestTimestamp) {
    // A new leader does not know yet what its predecessor had committed.
    if (!reader.is_replica() && high_watermark_ < leader_->epoch_start()) {
      result.error = ErrorCode::kOffsetNotAvailable;
      return result;
    }
    result.offset = bound;
    result.leader_epoch = leader_->epoch();
    return result;
  }
  if (asked.timestamp == kEarliestTimestamp || asked.timestamp == kEarliestLocalTimestamp) {
    result.offset = log_->log_start_offset();
    result.leader_epoch = log_->epoch_for_offset(result.offset).value_or(LeaderEpoch{-1});
    return result;
  }
  // Nothing is tiered; Kafka answers "none" then as well.
  if (asked.timestamp < kMaxTimestamp) return result;
  const auto found = asked.timestamp == kMaxTimestamp ? log_->max_timestamp()
                                                      : log_->offset_for_timestamp(asked.timestamp);
  if (!note_failure(found).ok()) {
    result.error = found.code();
    return result;
  }
  if (*found && (*found)->offset < bound) {
    result.timestamp = (*found)->timestamp;
    result.offset = (*found)->offset;
    result.leader_epoch = (*found)->leader_epoch;
  }
  return result;
}

EpochEndResult Partition::end_of_epoch(const EpochEndPartition& asked) {
  EpochEndResult result;
  const Result<void> leads = check_leader(asked.current_leader_epoch);
  result.error = leads.code();
  if (!leads.ok()) return result;
  if (const auto end = log_->end_offset_for_epoch(asked.leader_epoch))
    result.end = {end->epoch, end->end_offset};
  return result;
}

DeleteRecordsResult Partition::delete_records(Offset before) {
  DeleteRecordsResult result;
  const Result<void> leads = check_leader(std::nullopt);
  if (!leads.ok()) {
    result.error = leads.code();
    return result;
  }
  if (!log_->options().cleanup_delete) {
    result.error = ErrorCode::kPolicyViolation;
    return result;
  }
  const Result<Offset> start = log_->delete_records(before, high_watermark_);
  result.error = note_failure(start).code();
  if (start.ok()) result.low_watermark = *start;
  return result;
}

// --- Waiting

Partition::WaiterHandle Partition::add_fetch_waiter(const Reader& reader,
                                                    std::shared_ptr<FetchWaiter> waiter) {
  auto& waiters = reader.is_replica() ? replicas_ : consumers_;
  return waiters.insert(waiters.end(), std::move(waiter));
}

void Partition::remove_fetch_waiter(const Reader& reader, WaiterHandle handle) {
  (reader.is_replica() ? replicas_ : consumers_).erase(handle);
}

void Partition::wake_consumers(std::int64_t bytes, bool decided) {
  for (const auto& waiter : consumers_) waiter->on_progress(bytes, decided);
}

void Partition::wake_replicas(std::int64_t bytes, bool decided) {
  for (const auto& waiter : replicas_) waiter->on_progress(bytes, decided);
  tell_subscribers(decided ? ReplicaSubscriber::News::kDecided : ReplicaSubscriber::News::kRecords);
}

// --- Housekeeping

void Partition::clean(WallMs wall) {
  if (!log_ || offline_) return;
  const auto cleaned = log_->apply_retention(high_watermark_, wall);
  if (!note_failure(cleaned).ok() || cleaned->segments_deleted == 0) return;
  log_info("replication", "deleted old segments",
           {{"partition", to_string(id_)},
            {"segments", cleaned->segments_deleted},
            {"bytes", cleaned->bytes_deleted},
            {"log_start_offset", cleaned->log_start_offset.value}});
}

std::optional<storage::Cleanable> Partition::cleanable(WallMs wall) {
  if (!log_ || offline_ || uncleanable_) return std::nullopt;
  const auto found = log_->cleanable(last_stable_offset(), wall);
  return note_failure(found).ok() ? *found : std::nullopt;
}

Result<std::shared_ptr<storage::LogCleaning>> Partition::begin_cleaning(
    const storage::Cleanable& what, const storage::CleanerLimits& limits, WallMs wall) {
  auto begun = log_->begin_cleaning(what, limits, wall);
  if (!note_failure(begun).ok()) return begun.error();
  return std::shared_ptr<storage::LogCleaning>(std::move(*begun));
}

Result<void> Partition::swap_cleaned(const storage::LogCleaning& cleaning, WallMs wall) {
  return note_failure(log_->swap_cleaned(cleaning, wall));
}

void Partition::fail_cleaning(const storage::LogCleaning& cleaning, const Error& error) {
  if (error.code != ErrorCode::kKafkaStorageError) uncleanable_ = true;
  (void)note_failure(log_->fail_cleaning(cleaning, error));
}

PartitionGauges Partition::gauges() const {
  PartitionGauges gauges;
  gauges.topic = id_.topic;
  gauges.partition = id_.partition;
  gauges.offline = offline_;
  gauges.uncleanable = uncleanable_;
  gauges.high_watermark = high_watermark_;
  if (log_) {
    gauges.log_start_offset = log_->log_start_offset();
    gauges.log_end_offset = log_->log_end_offset();
    gauges.log_dir = log_->directory().substr(0, log_->directory().rfind('/'));
    gauges.size_bytes = log_->size_bytes();
    gauges.segments = log_->segment_count();
    if (!leader_)
      gauges.lag = std::max<std::int64_t>(0, leader_high_watermark_ - log_->log_end_offset());
  }
  if (leader_) {
    const auto isr = static_cast<std::int32_t>(leader_->isr().size());
    const std::int32_t needed = leader_->effective_min_isr(settings_.min_insync_replicas);
    gauges.leader = true;
    gauges.replicas = leader_->replicas().size();
    gauges.under_replicated = leader_->isr().size() < leader_->replicas().size();
    gauges.under_min_isr = isr < needed;
    gauges.at_min_isr = isr == needed;
  }
  return gauges;
}

storage::LogPositions Partition::positions() const { return log_->positions(high_watermark_); }

}  // namespace broker::replication
