#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/record/batch.h"
#include "broker/record/record_iterator.h"
#include "broker/storage/aborted_txn.h"
#include "broker/storage/file_cache.h"
#include "broker/storage/log_options.h"
#include "broker/storage/offset_index.h"
#include "broker/storage/time_index.h"

namespace broker::storage {

struct ReadResult {
  Slice records;        // whole batches
  Offset first_offset;  // base offset of the first, `from` when there is none
  Offset next_offset;   // behind the last; where a sequential reader goes on
};

/// What a read gives: bytes in memory, or, where that saves a copy, a Slice that stands for a part
/// of the segment's file (Slice::stored). Only for what is committed: nothing but an unclean
/// election takes that away again.
enum class ReadAs { kBytes, kFileRange };

struct ReadLimits {
  Offset max_exclusive;
  std::size_t max_bytes = 0;
  bool at_least_one = false;
  std::size_t read_ahead_bytes = 0;
  ReadAs as = ReadAs::kBytes;
  std::size_t refer_bytes = 0;  // the least that is worth a kFileRange
};

struct TimestampOffset {
  WallMs timestamp = record::kNoTimestamp;
  Offset offset{-1};
  LeaderEpoch leader_epoch{-1};

  bool operator==(const TimestampOffset&) const = default;
};

/// "00000000000000000042.log"
std::string segment_file_name(Offset base_offset, std::string_view suffix);
/// The offset in front of `suffix`, if `name` is 20 digits and that suffix.
std::optional<Offset> parse_segment_file_name(std::string_view name, std::string_view suffix);

inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr std::string_view kTxnIndexSuffix = ".txnindex";
inline constexpr std::string_view kSnapshotSuffix = ".snapshot";
inline constexpr std::string_view kDeletedSuffix = ".deleted";
// Behind the others, while a compaction replaces segments (log_clean.cc).
inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

/// A batch about to be written; both parts point into the bytes that go with it.
struct BatchParts {
  record::BatchHeader header;  // with its final offsets
  record::Bytes records;
};

/// One stretch of a log: the batches and their two sparse indexes. Only the active segment keeps
/// its file open; the others go through the FileCache, their indexes are looked at on first use.
class Segment {
 public:
  /// A new, empty segment, whose files' names end in `state`. Errors: kKafkaStorageError when the
  /// file exists.
  static Result<std::unique_ptr<Segment>> create(FileCache& files, const std::string& directory,
                                                 Offset base_offset, WallMs now,
                                                 std::string_view state = "");
  /// An existing one, inactive.
  static Result<std::unique_ptr<Segment>> open(FileCache& files, const std::string& directory,
                                               Offset base_offset, WallMs now);

  Offset base_offset() const { return base_offset_; }
  std::uint64_t size_bytes() const { return size_; }
  bool empty() const { return size_ == 0; }

  /// `bytes` are the `batches` behind each other. When the disk is full (io::is_no_space) nothing
  /// has changed.
  Result<void> append(const Slices& bytes, std::span<const BatchParts> batches,
                      const LogOptions& options);
  /// Whether `incoming_bytes` with these offsets and this timestamp belong into a new segment.
  Result<bool> should_roll(std::uint64_t incoming_bytes, WallMs incoming_max_timestamp,
                           Offset incoming_last_offset, const LogOptions& options, WallMs now);

  /// nullopt when no batch here ends at or behind `from`. Otherwise as Log::read. `health`, if
  /// given, hears of failures to read a kFileRange.
  Result<std::optional<ReadResult>> read(Offset from, const ReadLimits& limits,
                                         DirectoryHealth* health = nullptr);
  /// The first record at or after `timestamp` with an offset of at least `at_least`.
  Result<std::optional<TimestampOffset>> find_timestamp(WallMs timestamp, Offset at_least,
                                                        std::size_t max_decompressed_bytes);
  /// The largest timestamp and where it is; -1 when no record has one.
  Result<TimePosition> max_timestamp();
  /// Of the first batch; -1 when there is none. What segment.ms counts from.
  Result<WallMs> first_timestamp();
  /// Bytes of the larger of its two indexes.
  Result<std::size_t> index_bytes();
  /// Wall clock of the last write to the file, for segments without timestamps.
  Result<WallMs> modified();
  Result<std::vector<AbortedTxn>> aborted_transactions();
  Result<void> append_aborted(const AbortedTxn& txn);
  Result<void> truncate_aborted(Offset end_offset);

  using BatchVisitor = std::function<Result<void>(const record::Batch&)>;
  /// Visits the batches from the one that holds `from`, in order.
  Result<void> for_each_batch(Offset from, const BatchVisitor& visit);
  /// Checks every batch, rebuilds both indexes, and truncates at the first bad one. Returns the
  /// bytes dropped. Errors: kUnsupportedForMessageFormat for batches older than Kafka 0.11, and
  /// what `visit` returns.
  Result<std::uint64_t> recover(const LogOptions& options, const BatchVisitor& visit);
  /// Keeps only batches whose last offset is below `offset`. Where more was lent, in a new file.
  Result<void> truncate_to(Offset offset);

  /// Opens the file for appending. Returns the offset behind the last batch.
  Result<Offset> make_active();
  /// No more appends: completes the indexes and writes them, hands the file to the cache.
  Result<void> make_inactive();
  /// Completes and writes the indexes (clean close).
  Result<void> finish_indexes();

  /// The handles to sync. Indexes of an active segment are left out: recovery rebuilds them.
  Result<void> collect_files(std::vector<std::shared_ptr<io::File>>& files, bool with_indexes);
  std::string path(std::string_view suffix) const;
  /// Paths of all files that a segment may have.
  std::vector<std::string> paths() const;

 private:
  Segment(FileCache& files, const std::string& directory, Offset base_offset, WallMs created,
          std::string_view state = "");
  Result<std::shared_ptr<io::File>> file() const;
  Result<void> ensure_indexes();
  Result<void> rebuild_indexes();
  Result<void> clear_indexes();
  /// read() without copying; nullopt where that does not pay, or the first batch does not fit.
  Result<std::optional<ReadResult>> refer(Offset from, const ReadLimits& limits,
                                          DirectoryHealth* health);
  Result<void> replace_by_prefix(const io::File& log, std::uint64_t bytes);
  /// Position of the first batch that ends at or behind `offset`; the size when there is none.
  Result<std::uint64_t> position_of(Offset offset);
  /// Takes the counters from the indexes and the batches behind the last entry.
  Result<Offset> load_tail();
  bool has_txn_index();
  void count_batch(const record::BatchHeader& header);
  Result<void> index_batch(const record::BatchHeader& header, std::uint32_t position,
                           std::int64_t index_interval_bytes);

  FileCache& files_;
  const std::string directory_;
  const Offset base_offset_;
  const std::string state_;

  std::shared_ptr<io::File> active_file_;  // null when inactive
  std::uint64_t size_ = 0;
  Offset lent_end_{0};  // behind what the file was lent for
  bool indexes_ready_ = false;
  OffsetIndex offset_index_;
  TimeIndex time_index_;
  std::uint64_t bytes_since_index_ = 0;
  TimePosition max_timestamp_;             // so far
  std::optional<WallMs> first_timestamp_;  // of the first batch: what segment.ms counts from
  WallMs created_;
  std::optional<bool> has_txn_index_;
};

}  // namespace broker::storage
