#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "broker/metadata/topics_image.h"
#include "broker/replication/leader_state.h"
#include "broker/replication/metrics.h"
#include "broker/replication/types.h"
#include "broker/storage/log.h"

namespace broker::replication {

class Partition;

/// What a partition asks of the strand that it lives on.
class PartitionHost {
 public:
  using Done = UniqueFunction<void(const storage::FlushJob&, const Result<void>&, Instant, WallMs)>;
  virtual ~PartitionHost() = default;
  /// Runs the blocking part of a flush elsewhere, then `done` on the partition's strand, unless the
  /// strand ends before.
  virtual void run_flush(storage::FlushJob job, Done done) = 0;
  /// Something waits for acknowledgement: call expire_waiters() from time to time.
  virtual void on_waiting(const Partition& partition) = 0;
};

/// A long poll's interest in one strand's partitions.
class FetchWaiter {
 public:
  virtual ~FetchWaiter() = default;
  /// About `bytes` more can be read; `decided`: the answer changed in another way (leadership,
  /// truncation, error). May be called many times. Must not touch the partition from inside.
  virtual void on_progress(std::int64_t bytes, bool decided) = 0;
};

/// One partition's replica on this broker: leader, follower or offline. Owns what waits for its
/// offsets: acks=all (and acks=1 where flush.messages is 1) until they are reached, long polls
/// until there is something to read. Lives on its home strand; time is an argument.
class Partition : public std::enable_shared_from_this<Partition> {
 public:
  struct Settings {
    std::int32_t min_insync_replicas = 1;
    std::chrono::milliseconds replica_lag_time_max{30'000};
    bool flush_before_ack = false;  // flush.messages=1: only what is on disk counts as written
  };
  using AppendCallback = UniqueFunction<void(ProduceResult)>;

  Partition(TopicIdPartition id, BrokerId self, PartitionHost& host, TopicCounters& counters);
  ~Partition();

  const TopicIdPartition& id() const { return id_; }

  // --- Roles

  /// Leads from now on, or goes on leading with a new ISR. `high_watermark` is the checkpointed
  /// one; it only matters when this is the first role since the start.
  void become_leader(std::shared_ptr<storage::Log> log,
                     const metadata::PartitionRegistration& registration, const Settings& settings,
                     Offset high_watermark, Instant now);
  /// Everything that waits here is answered kNotLeaderOrFollower.
  void become_follower(std::shared_ptr<storage::Log> log,
                       const metadata::PartitionRegistration& registration,
                       const Settings& settings, Offset high_watermark, Instant now);
  /// Gives up its log; what waits is answered with `reason`.
  void stop(ErrorCode reason);
  /// The log failed: every request is answered kKafkaStorageError from now on.
  void go_offline(const Error& why);
  void update_settings(const Settings& settings, storage::LogOptions options, Instant now);

  bool is_leader() const { return leader_.has_value(); }
  bool is_offline() const { return offline_; }
  /// nullptr after stop().
  storage::Log* log() { return log_.get(); }
  const storage::Log* log() const { return log_.get(); }
  std::optional<LeaderEpoch> leader_epoch() const;
  const LeaderState* leader_state() const { return leader_ ? &*leader_ : nullptr; }

  Offset high_watermark() const { return high_watermark_; }
  /// Up to where read_committed may read.
  Offset last_stable_offset() const;

  // --- Requests

  /// Appends and calls back when `acks` is satisfied: at once for kNone and (unless flushes count)
  /// kLeader; for kAll when the high watermark has passed, or with kRequestTimedOut after
  /// `timeout`. Errors: kNotLeaderOrFollower, kKafkaStorageError, kNotEnoughReplicas before and
  /// kNotEnoughReplicasAfterAppend behind the write, and what Log::append_as_leader refuses.
  /// A repetition by an idempotent producer succeeds with the offsets of the first time.
  void append(const Slice& records, Acks acks, AppendOrigin origin,
              std::chrono::milliseconds timeout, Instant now, WallMs wall, AppendCallback callback);

  /// Whole batches up to `max_bytes`; `at_least_one` lets the first one exceed it (KIP-74). A
  /// replica's fetch also tells how far that replica is. Errors in the result:
  /// kNotLeaderOrFollower, kFencedLeaderEpoch, kUnknownLeaderEpoch, kOffsetOutOfRange,
  /// kKafkaStorageError.
  FetchResult fetch(const Reader& reader, const FetchPosition& from, std::int32_t max_bytes,
                    bool at_least_one, Isolation isolation, Instant now);

  ListOffsetsResult list_offset(const Reader& reader, const ListOffsetsPartition& asked,
                                Isolation isolation);
  EpochEndResult end_of_epoch(const EpochEndPartition& asked);
  DeleteRecordsResult delete_records(Offset before);

  // --- Waiting

  using WaiterHandle = std::list<std::shared_ptr<FetchWaiter>>::iterator;
  /// Consumers are told when the high watermark moves, replicas when the log end does. Must be
  /// removed before `waiter`'s owner forgets the partition.
  WaiterHandle add_fetch_waiter(const Reader& reader, std::shared_ptr<FetchWaiter> waiter);
  void remove_fetch_waiter(const Reader& reader, WaiterHandle handle);
  /// Answers what has waited too long. Called a few times per second while produce_waiter_count()
  /// is not 0.
  void expire_waiters(Instant now);
  std::size_t produce_waiter_count() const { return all_waiters_.size() + flush_waiters_.size(); }
  std::size_t fetch_waiter_count() const { return consumers_.size() + replicas_.size(); }

  // --- Housekeeping

  /// Retention and expiry of producers.
  void clean(WallMs wall);
  /// Starts a flush if flush.ms or flush.messages asks for one.
  void flush_if_due(WallMs wall);
  bool is_flushing() const { return flushing_; }
  TopicCounters& counters() { return counters_; }
  PartitionGauges gauges() const;
  storage::LogPositions positions() const;

 private:
  struct AppendWaiter {
    Offset end;  // exclusive: acknowledged once reached
    Instant deadline;
    ProduceResult result;
    AppendCallback callback;
  };
  using AppendWaiters = std::deque<AppendWaiter>;

  void set_role(std::shared_ptr<storage::Log> log,
                const metadata::PartitionRegistration& registration, const Settings& settings,
                Offset high_watermark);
  ProduceResult refuse(ErrorCode error, std::string message = {}) const;
  Result<void> check_leader(const std::optional<LeaderEpoch>& epoch) const;
  CurrentLeader current_leader() const;
  /// What this replica counts as written.
  Offset written_end() const;
  void acknowledge(Acks acks, AppendWaiter waiter);
  void park(AppendWaiters& waiters, AppendWaiter waiter);
  ProduceResult final_result(ProduceResult result) const;
  void advance_high_watermark(Instant now);
  void start_flush();
  void flush_if_behind();
  void on_flushed(const storage::FlushJob& job, const Result<void>& outcome, Instant now,
                  WallMs wall);
  void answer_reached(AppendWaiters& waiters, Offset reached);
  void fail_waiters(ErrorCode reason);
  void wake_consumers(std::int64_t bytes, bool decided);
  void wake_replicas(std::int64_t bytes, bool decided);
  Offset fetch_bound(const Reader& reader, Isolation isolation) const;
  std::optional<EpochEndOffset> diverging_epoch(const FetchPosition& from) const;
  template <class T>
  const T& note_failure(const T& result);

  const TopicIdPartition id_;
  const BrokerId self_;
  PartitionHost& host_;
  TopicCounters& counters_;

  std::shared_ptr<storage::Log> log_;
  Settings settings_;
  std::optional<LeaderState> leader_;
  CurrentLeader known_leader_;
  Offset high_watermark_{0};
  bool offline_ = false;

  bool flushing_ = false;
  bool flush_again_ = false;
  std::int64_t bytes_above_high_watermark_ = 0;

  AppendWaiters all_waiters_;    // acks=all, in order of their offsets
  AppendWaiters flush_waiters_;  // acks=1 under flush_before_ack
  std::list<std::shared_ptr<FetchWaiter>> consumers_;
  std::list<std::shared_ptr<FetchWaiter>> replicas_;
};

}  // namespace broker::replication
