#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "broker/metadata/topics_image.h"
#include "broker/replication/fetcher_core.h"
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
  /// The epoch that a broker is registered with; nullopt if it may not join an ISR.
  virtual std::optional<BrokerEpoch> eligible_epoch(BrokerId broker) const = 0;
  /// Asks the controller; on_isr_decision(number, ...) brings its answer.
  virtual void propose_isr(const Partition& partition, std::uint64_t number, IsrChange change) = 0;
  /// Asks the transaction coordinator; `done` runs later on the partition's strand.
  using Verified = UniqueFunction<void(ErrorCode)>;
  virtual void verify_transaction(const Partition& partition, TransactionCheck check,
                                  Verified done) = 0;
  virtual Instant now() const = 0;
  virtual WallMs wall_now() const = 0;
  /// What a follower had not yet on disk (flush.messages=1) is there: it may be told to the leader.
  virtual void on_follower_flushed(Partition& partition) = 0;
};

/// A follower's session that contains a partition.
class ReplicaSubscriber {
 public:
  enum class News {
    kRecords,        // the log has grown
    kHighWatermark,  // it has moved, or the log start
    kDecided,        // the answer changed in another way (leadership, truncation, error)
  };
  virtual ~ReplicaSubscriber() = default;
  /// Must not touch the partition from inside.
  virtual void on_news(News news) = 0;
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
    bool flush_before_ack = false;     // flush.messages=1: only what is on disk counts as written
    bool verify_transactions = true;   // transaction.partition.verification.enable
    bool throttled_as_leader = false;  // towards followers that are not in sync
    bool throttled_as_follower = false;
  };
  using AppendCallback = UniqueFunction<void(ProduceResult)>;

  Partition(TopicIdPartition id, BrokerId self, PartitionHost& host,
            std::shared_ptr<TopicCounters> counters);
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
  /// Whom this replica follows; -1 when it leads, or nobody does.
  CurrentLeader followed_leader() const;
  /// The log failed: every request is answered kKafkaStorageError from now on.
  void go_offline(const Error& why);
  void update_settings(const Settings& settings, storage::LogOptions options, Instant now);

  bool is_leader() const { return leader_.has_value(); }
  bool is_offline() const { return offline_; }
  /// nullptr after stop().
  storage::Log* log() { return log_.get(); }
  const storage::Log* log() const { return log_.get(); }
  std::optional<LeaderEpoch> leader_epoch() const;
  const Settings& settings() const { return settings_; }
  const LeaderState* leader_state() const { return leader_ ? &*leader_ : nullptr; }

  Offset high_watermark() const { return high_watermark_; }
  /// Up to where read_committed may read.
  Offset last_stable_offset();

  // --- Requests

  /// Appends and calls back when `acks` is satisfied: at once for kNone and (unless flushes count)
  /// kLeader; for kAll when the high watermark has passed, or with kRequestTimedOut after
  /// `timeout`. Errors: kNotLeaderOrFollower, kKafkaStorageError, kNotEnoughReplicas before and
  /// kNotEnoughReplicasAfterAppend behind the write, kInvalidTxnState for a transaction that was
  /// not verified, and what Log::append_as_leader refuses.
  /// A repetition by an idempotent producer succeeds with the offsets of the first time.
  void append(const Slice& records, Acks acks, AppendOrigin origin,
              std::chrono::milliseconds timeout, Instant now, WallMs wall, AppendCallback callback);

  /// As append() for a client's transactional batch, verified first.
  void append_in_transaction(TransactionCheck check, const Slice& records, Acks acks,
                             std::chrono::milliseconds timeout, AppendCallback callback);
  /// `done(kNone)`: this producer may append to its transaction, in this very turn at least. Asks
  /// the coordinator unless the transaction is open here; who asks meanwhile waits in line, so that
  /// a producer's batches keep their order. After a marker in between the coordinator is asked
  /// again: what it said may be of the transaction before (KIP-890). A change of the role refuses.
  void verify_transaction(TransactionCheck check, PartitionHost::Verified done);
  /// Appends a transaction marker with acks=all. Errors: as append(), kInvalidProducerEpoch,
  /// kTransactionCoordinatorFenced.
  void append_marker(const record::TxnMarker& marker, std::int16_t transaction_version,
                     std::chrono::milliseconds timeout, Instant now, WallMs wall,
                     AppendCallback callback);
  struct ActiveProducers {
    ErrorCode error = ErrorCode::kNone;
    std::map<ProducerId, storage::ProducerState> producers;
  };
  ActiveProducers active_producers() const;

  /// Whole batches up to `max_bytes`; `at_least_one` lets the first one exceed it (KIP-74). A
  /// replica's fetch also tells how far that replica is. Errors in the result:
  /// kNotLeaderOrFollower, kFencedLeaderEpoch, kUnknownLeaderEpoch, kOffsetOutOfRange,
  /// kKafkaStorageError.
  FetchResult fetch(const Reader& reader, const FetchPosition& from, std::int32_t max_bytes,
                    bool at_least_one, Isolation isolation, Instant now);

  // --- A follower's session, instead of fetch()

  /// A follower stands at `from`. Moves the high watermark; may propose an ISR with it. Errors and
  /// the diverging epoch are in the result, records are not.
  FetchResult note_replica(const Reader& reader, const FetchPosition& from, Offset log_start,
                           FetchClock clock, Instant now);
  /// What a follower at `from` gets.
  FetchResult read_for_replica(const FetchPosition& from, std::int32_t max_bytes,
                               bool at_least_one);
  void subscribe(ReplicaSubscriber& subscriber) { subscribers_.push_back(&subscriber); }
  void unsubscribe(ReplicaSubscriber& subscriber);

  // --- The ISR, as leader

  /// Proposes an ISR without those that lag too far behind.
  void check_isr(Instant now);
  /// Whether replicas are missing in the ISR that may be let in some time.
  bool has_short_isr() const;
  /// Proposes to let in whoever has caught up: for those that were not eligible when they fetched.
  void try_expansion(Instant now);
  /// Others may be eligible now than before.
  void on_brokers_changed(Instant now);
  void on_isr_decision(std::uint64_t number, const IsrDecision& decision, Instant now);

  // --- As follower (partition_follower.cc)

  /// nullopt unless this replica follows and its log works.
  std::optional<FollowerPosition> follower_position() const;
  /// Writes what the leader sent, and takes over its high watermark and log start. Errors:
  /// kCorruptMessage, kInvalidRecord (nothing was written); kKafkaStorageError: offline now.
  Result<void> append_as_follower(const Slice& records, Offset leader_high_watermark,
                                  Offset leader_log_start, WallMs wall);
  /// Whether what was appended must reach the disk before the leader may learn of it.
  bool awaits_follower_flush() const;
  /// Cuts off what the leader does not have, by its answer for the last epoch here (KIP-595).
  /// Returns whether the recovery point moved back: then it must be checkpointed before the next
  /// append.
  Result<bool> truncate_to_leader(const EpochEndOffset& leader, WallMs wall);
  Result<bool> truncate_to(Offset offset, WallMs wall);
  /// Drops everything and begins anew at `offset`: the leader has nothing older.
  Result<void> restart_at(Offset offset, WallMs wall);

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
  Offset leader_high_watermark() const { return leader_high_watermark_; }

  // --- Housekeeping

  /// Retention and expiry of producers.
  void clean(WallMs wall);
  /// How much could be compacted now. nullopt where nothing may be: see Log::cleanable, and after
  /// its content made a cleaning fail.
  std::optional<storage::Cleanable> cleanable(WallMs wall);
  Result<std::shared_ptr<storage::LogCleaning>> begin_cleaning(const storage::Cleanable& what,
                                                               const storage::CleanerLimits& limits,
                                                               WallMs wall);
  Result<void> swap_cleaned(const storage::LogCleaning& cleaning, WallMs wall);
  void fail_cleaning(const storage::LogCleaning& cleaning, const Error& error);
  /// Starts a flush if flush.ms or flush.messages asks for one.
  void flush_if_due(WallMs wall);
  bool is_flushing() const { return flushing_; }
  TopicCounters& counters() { return *counters_; }
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

  // transactions.cc
  struct Verification {
    std::uint64_t ticket = 0;
    TransactionCheck check;
    bool verified = false;
    std::vector<PartitionHost::Verified> waiters;
  };
  void ask_about(ProducerId producer);
  void on_verified(ProducerId producer, std::uint64_t ticket, ErrorCode error);
  bool is_verified(const Slice& records) const;
  void end_verification(ProducerId producer, ErrorCode reason);
  void end_verifications(ErrorCode reason);

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
  void tell_subscribers(ReplicaSubscriber::News news);
  Result<void> check_reader(const Reader& reader, const std::optional<LeaderEpoch>& epoch) const;
  void read_records(FetchResult& result, Offset from, Offset bound, std::int32_t max_bytes,
                    bool at_least_one, Isolation isolation,
                    storage::ReadAs as = storage::ReadAs::kBytes);
  void note_fetch(const Reader& reader, Offset offset, Offset log_start, FetchClock clock,
                  Instant now);
  void propose(std::optional<IsrChange> change);
  void follow_high_watermark(Offset leader_high_watermark);
  Result<bool> cut_off(Offset offset, WallMs wall);
  LeaderState::Eligible eligible() const;
  Offset fetch_bound(const Reader& reader, Isolation isolation);
  std::optional<EpochEndOffset> diverging_epoch(const FetchPosition& from) const;
  /// Hands `result` on; goes offline if it says that the log failed.
  template <class T>
  const T& note_failure(const T& result) {
    if (!result.ok() && log_ && log_->failed()) go_offline(result.error());
    return result;
  }

  const TopicIdPartition id_;
  const BrokerId self_;
  PartitionHost& host_;
  const std::shared_ptr<TopicCounters> counters_;  // whoever holds a removed partition counts on

  std::shared_ptr<storage::Log> log_;
  Settings settings_;
  std::optional<LeaderState> leader_;
  CurrentLeader known_leader_;
  Offset high_watermark_{0};
  bool offline_ = false;
  Offset leader_high_watermark_{-1};   // as follower: as the leader last told
  std::uint64_t isr_proposals_ = 0;    // number of the latest
  std::optional<IsrChange> proposed_;  // to be repeated

  bool uncleanable_ = false;

  bool flushing_ = false;
  bool flush_again_ = false;
  std::int64_t bytes_above_high_watermark_ = 0;

  std::map<ProducerId, Verification> verifications_;
  std::uint64_t verification_tickets_ = 0;

  AppendWaiters all_waiters_;    // acks=all, in order of their offsets
  AppendWaiters flush_waiters_;  // acks=1 under flush_before_ack
  std::list<std::shared_ptr<FetchWaiter>> consumers_;
  std::list<std::shared_ptr<FetchWaiter>> replicas_;
  std::vector<ReplicaSubscriber*> subscribers_;
};

}  // namespace broker::replication
