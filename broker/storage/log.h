#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/io/file.h"
#include "broker/record/validate.h"
#include "broker/storage/aborted_txn.h"
#include "broker/storage/file_cache.h"
#include "broker/storage/flush_job.h"
#include "broker/storage/leader_epoch_cache.h"
#include "broker/storage/log_cleaning.h"
#include "broker/storage/log_options.h"
#include "broker/storage/producer_state_manager.h"
#include "broker/storage/segment.h"

namespace broker::storage {

using record::AppendOrigin;

/// What the checkpoints of the log directory and the last stop say about a log.
struct OpenContext {
  bool clean_shutdown = false;  // else everything from the recovery point on is checked
  Offset recovery_point{0};     // first offset not known to be on disk
  Offset log_start_offset{0};   // from the checkpoint; only raised above the first segment
  std::optional<Offset> first_dirty_offset;  // where the cleaner goes on
  WallMs now = 0;
  DirectoryHealth* health = nullptr;  // of the log directory; outlives the log
  bool may_use_reserve = false;       // of a full directory, for records
};

struct AppendInfo {
  Offset first_offset;
  Offset last_offset;
  WallMs max_timestamp = record::kNoTimestamp;
  WallMs log_append_time = record::kNoTimestamp;  // -1 under CreateTime
  bool duplicate = false;  // an idempotent producer's repetition: nothing was written, the offsets
                           // are those of the first time
  Offset log_start_offset;
  std::size_t bytes = 0;  // appended
};

/// What the owner reports to LogManager::checkpoint.
struct LogPositions {
  TopicPartition partition;
  Offset recovery_point;
  Offset log_start_offset;
  Offset high_watermark;
  /// Where deletion (not segments) put the log start; else the checkpoint has no line for the log.
  bool log_start_was_raised = false;
  std::optional<Offset> first_dirty_offset = {};  // of a compacted log
};

struct RetentionResult {
  int segments_deleted = 0;
  std::uint64_t bytes_deleted = 0;
  Offset log_start_offset;
};

/// One partition's log on disk: segments with their indexes, the leader-epoch cache and the state
/// of idempotent producers. Lives on its partition's strand; calls are synchronous and touch the
/// disk, only FlushJob::run may be elsewhere.
///
/// After a failed write or sync the log is poisoned: what is in memory and on disk may differ, so
/// every call returns kKafkaStorageError until the log is opened again, and the whole log directory
/// is offline. A full disk alone poisons nothing: appends fail and leave the log as it was.
class Log {
 public:
  /// Opens or creates the log in `directory` (absolute path). Recovers after an unclean stop:
  /// checks all batches from the segment that holds the recovery point, truncates at the first bad
  /// one, deletes later segments and rebuilds indexes, epochs and producer state. Errors:
  /// kKafkaStorageError; kUnsupportedForMessageFormat for batches older than Kafka 0.11.
  static Result<std::unique_ptr<Log>> open(FileCache& files, std::string directory,
                                           TopicPartition partition, LogOptions options,
                                           OpenContext context);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Validates `batches` (one from a client, any number else), gives them the next offsets and
  /// `epoch`, and writes them; payload bytes are not copied. Errors: as validate_produce_batch();
  /// kRecordListTooLarge above segment_bytes; kOutOfOrderSequenceNumber, kInvalidProducerEpoch,
  /// kTransactionCoordinatorFenced (KIP-98); kKafkaStorageError. Nothing is written on an error but
  /// the last, and then neither unless failed(). `record_errors`, if given, receives the refused
  /// records.
  Result<AppendInfo> append_as_leader(const Slice& batches, LeaderEpoch epoch, AppendOrigin origin,
                                      WallMs now,
                                      std::vector<record::RecordError>* record_errors = nullptr);
  /// Writes batches as the leader numbered them. A batch cut off at the end is ignored, and so is
  /// everything from the first batch of an epoch above `current_epoch` on (KAFKA-18723). Nothing
  /// left gives `bytes` 0. Errors: kCorruptMessage; kInvalidRecord for offsets below the log end.
  Result<AppendInfo> append_as_follower(const Slice& batches, WallMs now,
                                        LeaderEpoch current_epoch = LeaderEpoch{INT32_MAX});

  /// Whole batches from the one that holds `from` on, as long as their last offset is below
  /// `max_exclusive` and their sum within `max_bytes`; with `at_least_one` the first may exceed it
  /// (KIP-74). From one segment only. Errors: kOffsetOutOfRange outside log start ... log end.
  Result<ReadResult> read(Offset from, Offset max_exclusive, std::size_t max_bytes,
                          bool at_least_one, ReadAs as = ReadAs::kBytes);
  /// The first record at or after `timestamp` whose offset is at least the log start. nullopt when
  /// there is none.
  Result<std::optional<TimestampOffset>> offset_for_timestamp(WallMs timestamp);
  /// The (first) record with the highest timestamp (ListOffsets -3). nullopt when the log is empty.
  Result<std::optional<TimestampOffset>> max_timestamp();
  /// Transactions aborted with an offset in [from, to), for read_committed consumers.
  Result<std::vector<AbortedTxn>> aborted_transactions(Offset from, Offset to);

  const TopicPartition& partition() const { return partition_; }
  const std::string& directory() const { return directory_; }
  const LogOptions& options() const { return options_; }
  Offset log_start_offset() const { return log_start_offset_; }
  Offset log_end_offset() const { return log_end_offset_; }
  Offset recovery_point() const { return recovery_point_; }
  /// First offset of the oldest transaction that is undecided, as far as `high_watermark` tells.
  std::optional<Offset> first_unstable_offset(Offset high_watermark) {
    return producers_.first_unstable_offset(high_watermark);
  }
  LogPositions positions(Offset high_watermark) const;
  std::uint64_t size_bytes() const;
  std::size_t segment_count() const { return segments_.size(); }
  /// KIP-101: where `epoch` ended; see LeaderEpochCache.
  std::optional<EpochEnd> end_offset_for_epoch(LeaderEpoch epoch) const;
  std::optional<LeaderEpoch> latest_epoch() const { return epochs_.latest(); }
  std::optional<LeaderEpoch> epoch_for_offset(Offset offset) const {
    return epochs_.epoch_for(offset);
  }
  /// A new leader notes where its epoch begins before its first append.
  void assign_epoch_start(LeaderEpoch epoch);
  const ProducerStateManager& producers() const { return producers_; }

  /// Starts a new segment at the log end; no-op when the active one is empty.
  Result<void> roll(WallMs now);

  /// Whether flush.messages or flush.ms asks for a flush now.
  bool flush_due(WallMs now) const;
  /// What has to reach the disk for everything appended so far. Run it on a pool, then hand its
  /// outcome to complete_flush() on the log's strand; one at a time.
  Result<FlushJob> prepare_flush();
  /// Moves the recovery point; a failure poisons the log.
  Result<void> complete_flush(const FlushJob& job, const Result<void>& outcome, WallMs now);
  /// All three at once.
  Result<void> flush(WallMs now);

  /// Drops all batches with an offset at or above `offset`, and the epochs that began there. The
  /// owner writes the recovery-point checkpoint before it appends again (LogManager::checkpoint),
  /// or a crash would trust offsets that were written twice.
  Result<void> truncate_to(Offset offset, WallMs now);
  /// An empty log that begins at `offset`.
  Result<void> truncate_fully_and_start_at(Offset offset, WallMs now);

  /// Raises the log start (never lowers it). Segments below go with the next apply_retention().
  /// Errors: kOffsetOutOfRange above the log end.
  Result<void> set_log_start_offset(Offset offset);
  /// DeleteRecords: as set_log_start_offset(), with `high_watermark` as the bound; offset -1 means
  /// the high watermark. Returns the new log start.
  Result<Offset> delete_records(Offset offset, Offset high_watermark);
  /// Deletes segments below the log start, and by size and time where cleanup.policy says delete;
  /// never what is not below `high_watermark`. Also expires idle producers, and removes files whose
  /// delay is over.
  Result<RetentionResult> apply_retention(Offset high_watermark, WallMs now);

  // --- Compaction (log_clean.cc)

  /// How much could be compacted, given that nothing at or above `last_stable_offset` may be.
  /// nullopt unless cleanup.policy says compact, and while a cleaning is under way.
  Result<std::optional<Cleanable>> cleanable(Offset last_stable_offset, WallMs now);
  /// Until end_cleaning(), fail_cleaning() or abandon_cleaning() retention deletes no segments.
  Result<std::unique_ptr<LogCleaning>> begin_cleaning(const Cleanable& what,
                                                      const CleanerLimits& limits, WallMs now);
  /// False once the log was truncated below what is cleaned, or closed: the cleaning is to be given
  /// up.
  bool is_cleaning(const LogCleaning& cleaning) const {
    return cleaning_ == cleaning.plan().id && !failed();
  }
  /// Puts cleaning.ready() into the place of the segments it was made from: whatever crash comes
  /// meanwhile, the next open finds the old ones or the new one.
  Result<void> swap_cleaned(const LogCleaning& cleaning, WallMs now);
  /// The pass is over: what it read is clean now.
  void end_cleaning(const LogCleaning& cleaning);
  void abandon_cleaning() { cleaning_.reset(); }
  /// A step failed: the log stays as it is, unless it is the log's own disk that failed.
  Result<void> fail_cleaning(const LogCleaning& cleaning, const Error& error);

  void update_options(LogOptions options) { options_ = std::move(options); }

  /// The id of partition.metadata. nullopt when the file is missing.
  std::optional<TopicId> topic_id() const { return topic_id_; }
  /// Writes partition.metadata. Errors: kInconsistentTopicId when another id is there.
  Result<void> set_topic_id(TopicId id);

  /// Poisoned, or its log directory is offline.
  bool failed() const { return failure_ || (health_ != nullptr && health_->is_offline()); }
  /// Its log directory takes no records at present.
  bool is_full() const { return health_ != nullptr && health_->is_full(); }
  /// The directory is about to be renamed: gives up all handles without writing anything. Whoever
  /// still holds the log gets kKafkaStorageError from it.
  void retire();
  /// Everything on disk: indexes complete, a producer snapshot at the log end, all synced. Only
  /// after that may the directory be marked clean. A poisoned log returns its error.
  Result<void> close(WallMs now);

 private:
  Log(FileCache& files, std::string directory, TopicPartition partition, LogOptions options);

  using Segments = std::map<Offset, std::unique_ptr<Segment>>;

  // opening (log_loader.cc)
  Result<void> load(const OpenContext& context);
  Result<std::vector<std::string>> list_and_tidy();
  /// Completes or undoes swaps of cleaned segments that a crash interrupted (log_clean.cc).
  Result<void> finish_swaps();
  Result<void> remove_replaced(Offset base, const std::vector<std::string>& names);
  Result<void> load_segments(const std::vector<std::string>& names, WallMs now);
  Result<void> load_topic_id();
  Result<void> load_epochs();
  /// Checks everything from the segment that holds `from` on. Sets the log end. A segment above
  /// `gaps_up_to` that does not begin where the one before it ends is not believed.
  Result<void> recover(Offset from, Offset gaps_up_to, WallMs now);
  Result<void> drop_segments_from(Segments::iterator first);
  /// Newest usable snapshot at or below `offset`, then the batches up to it. Newer snapshots go.
  Result<void> rebuild_producers(Offset offset, WallMs now);
  Result<std::vector<Offset>> producer_snapshots();
  Result<void> remove_stray_producer_snapshots();

  // appending (log_append.cc)
  Result<std::vector<record::ValidatedBatch>> validate(const Slice& batches, AppendOrigin origin,
                                                       WallMs now,
                                                       std::vector<record::RecordError>* errors);
  Result<std::optional<ProducerBatch>> check_producers(
      const std::vector<record::ValidatedBatch>& batches, AppendOrigin origin) const;
  Result<void> write(const Slices& bytes, std::span<const BatchParts> batches, WallMs now);
  /// Folds a batch into the producers' state; `segment` gets the entry of an aborted transaction.
  Result<void> note_producer(const BatchParts& batch, Segment* segment);

  Segment& active() { return *segments_.rbegin()->second; }
  const Segment& active() const { return *segments_.rbegin()->second; }
  Segments::iterator segment_for(Offset offset);
  Result<void> roll_to(Offset base_offset, WallMs now);
  Result<void> try_roll_to(Offset base_offset, WallMs now);
  Result<void> create_segment(Offset base_offset, WallMs now);
  Result<void> write_producer_snapshot(Offset offset, bool sync);
  Result<void> finish_on_disk(WallMs now);
  Offset last_flushed(Offset recovery_point) const;
  Result<void> write_epochs();

  // compaction (log_clean.cc)
  void note_cut(Offset offset);
  Result<std::int64_t> compaction_delay(Offset first_dirty, WallMs now);
  Result<Offset> first_uncleanable(Offset first_dirty, Offset last_stable_offset, WallMs now);
  Result<void> replace_segments(const LogCleaning::Ready& ready, WallMs now);

  // shortening (log_retention.cc)
  /// Whether the oldest segment is to go, by the log start, size or time.
  Result<bool> oldest_is_due(Offset high_watermark, WallMs now);
  /// Renames a segment's files to .deleted; they go after file_delete_delay_ms.
  Result<void> doom(const std::vector<std::string>& paths, WallMs now);
  Result<void> delete_oldest_segment(WallMs now, RetentionResult& result);
  Result<RetentionResult> delete_old_segments(Offset high_watermark, WallMs now);
  Result<void> remove_due_files(WallMs now);
  Result<void> truncate_segments_to(Offset offset, WallMs now);
  void note_truncation(Offset offset);

  /// Hands `outcome` on; a failure is remembered, and from then on guard() returns it.
  Result<void> poison_if_failed(const Result<void>& outcome);
  /// Of write(): a full disk is no failure of the log.
  Result<void> conclude_write(const Result<void>& outcome);
  /// Takes the log directory offline where `outcome` says that the disk failed.
  template <class T>
  Result<T> report_if_failed(Result<T> outcome);
  Result<void> check_space() const;
  Result<void> guard() const;

  FileCache& files_;
  io::FileSystem& fs_;
  const std::string directory_;
  const TopicPartition partition_;
  DirectoryHealth* health_ = nullptr;
  bool may_use_reserve_ = false;

  LogOptions options_;
  Segments segments_;  // never empty once open; the last is active
  LeaderEpochCache epochs_;
  ProducerStateManager producers_;
  std::optional<TopicId> topic_id_;
  Offset log_start_offset_;
  Offset log_end_offset_;
  Offset recovery_point_;
  bool closed_on_disk_ = false;  // nothing was written since a clean close: no need for another
  bool epochs_dirty_ = false;
  bool directory_dirty_ = false;  // names changed since the last sync of the directory
  WallMs last_flush_ = 0;
  Offset flush_bound_{INT64_MAX};  // lowest truncation since the last prepare_flush()
  struct DoomedFile {
    std::string path;
    WallMs due = 0;
  };
  std::vector<DoomedFile> doomed_;
  Offset first_dirty_offset_{0};           // below it everything was compacted, if it still is here
  std::optional<std::uint64_t> cleaning_;  // id of the one under way
  Offset cleaning_end_;                    // it touches nothing at or above
  std::uint64_t last_cleaning_ = 0;
  std::optional<Error> failure_;
};

}  // namespace broker::storage
