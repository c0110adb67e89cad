#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/storage/aborted_txn.h"
#include "broker/storage/batch_scanner.h"
#include "broker/storage/clean_filter.h"
#include "broker/storage/file_cache.h"
#include "broker/storage/log_options.h"
#include "broker/storage/offset_map.h"
#include "broker/storage/segment.h"

namespace broker::storage {

/// How much of a log could be compacted now, as Kafka's cleaner weighs it.
struct Cleanable {
  Offset first_dirty;        // below it everything is clean
  Offset first_uncleanable;  // a segment's base: at or below the last stable offset and the active
                             // segment, and outside min.compaction.lag.ms
  std::uint64_t clean_bytes = 0;
  std::uint64_t dirty_bytes = 0;         // between the two offsets
  std::int64_t compaction_delay_ms = 0;  // by how much max.compaction.lag.ms is exceeded
  bool due = false;

  double dirty_ratio() const {
    const std::uint64_t total = clean_bytes + dirty_bytes;
    return total == 0 ? 0 : static_cast<double>(dirty_bytes) / static_cast<double>(total);
  }
};

/// Of all cleanings of a broker.
struct CleanerLimits {
  std::size_t map_bytes = 128u << 20;  // of one cleaning
  double map_load_factor = 0.9;
  std::array<std::uint64_t, 2> hash_key{};  // drawn at start, see OffsetMap
};

struct CleaningStats {
  std::uint64_t bytes_read = 0;     // while copying
  std::uint64_t bytes_written = 0;  // of those that stay
  std::uint64_t map_bytes_read = 0;
  std::int64_t records_read = 0;
  std::int64_t records_kept = 0;
  double map_utilization = 0;
};

/// One pass over one log: reads the dirty part into an OffsetMap, then copies the segments from the
/// log's first one on without the records that have a later one of their key. Made by
/// Log::begin_cleaning on the log's strand; step() runs on a pool, never twice at a time, and owns
/// what it touches: sealed segments, whose files never change, and `.cleaned` files. What it wrote
/// takes their place in Log::swap_cleaned, on the strand, one group of segments after the other.
class LogCleaning {
 public:
  struct Source {
    Offset base, end;  // end: base of the next segment
    std::uint64_t size_bytes = 0;
    std::size_t index_bytes = 0;  // of the larger index
  };
  struct Plan {
    std::uint64_t id = 0;  // of this cleaning in its log
    TopicPartition partition;
    std::string directory;
    LogOptions options;
    CleanerLimits limits;
    Offset first_dirty;
    Offset first_uncleanable;
    std::vector<Source> segments;  // all below first_uncleanable
    std::vector<AbortedTxn> aborted;
    LastOfProducers last_of_producers;
    WallMs now = 0;
  };
  /// A cleaned segment, whole and on disk, and what it is to replace.
  struct Ready {
    Offset base;                   // of the new segment: that of the first replaced
    std::vector<Offset> replaced;  // bases
  };

  LogCleaning(FileCache& files, Plan plan);
  /// Removes what it left unfinished.
  ~LogCleaning();
  LogCleaning(const LogCleaning&) = delete;
  LogCleaning& operator=(const LogCleaning&) = delete;

  enum class Step { kMore, kSwap, kDone };
  /// Reads about `budget_bytes`, writes at most that much. kSwap: ready() waits for
  /// Log::swap_cleaned before the next step. Errors, for Log::fail_cleaning: kKafkaStorageError;
  /// kCorruptMessage and what the codecs refuse; kInvalidConfig when a batch has more keys than the
  /// map has room for.
  Result<Step> step(std::size_t budget_bytes);

  const Plan& plan() const { return plan_; }
  const Ready& ready() const { return ready_; }
  /// A sync of the log's own files failed.
  bool source_lost() const { return source_lost_; }
  /// Everything below is clean once step() has returned kDone.
  Offset cleaned_up_to() const { return end_; }
  const CleaningStats& stats() const { return stats_; }
  /// Bytes read and written so far, for throttling.
  std::uint64_t io_bytes() const {
    return stats_.map_bytes_read + stats_.bytes_read + stats_.bytes_written;
  }

 private:
  using Group = std::vector<Source>;
  struct Input {
    std::unique_ptr<io::File> file;
    BatchScanner scanner;
    std::uint64_t size;
    std::string path;
  };

  Result<Step> read_dirty(std::size_t budget_bytes);
  Result<void> sync_input();
  Result<bool> read_into_map(const record::Batch& batch);
  void end_map(Offset end);
  Result<Step> copy(std::size_t budget_bytes);
  bool is_last_of_group() const;
  Result<void> copy_batch(const record::Batch& batch, bool is_last);
  Result<void> write_pending();
  Result<void> remove_leftovers();
  Result<void> begin_group();
  Result<void> finish_group();
  Result<Input> open(const Source& source) const;
  /// The next batch of the input; nullopt at its end. Its checksum is right.
  Result<std::optional<record::Batch>> next_batch();
  void drop_output();

  FileCache& files_;
  const Plan plan_;
  CleaningStats stats_;
  std::unique_ptr<OffsetMap> map_;
  CleanedTransactions transactions_;
  Offset latest_;  // in the map
  Offset end_;
  std::unique_ptr<CleanFilter> filter_;  // set once the map is complete
  std::vector<Group> groups_;            // still to be copied
  std::size_t group_ = 0;
  std::size_t source_ = 0;  // within the plan's segments, then within the group
  std::optional<Input> input_;
  std::unique_ptr<Segment> output_;
  std::vector<Slice> pending_;  // cleaned batches not yet written
  std::size_t pending_bytes_ = 0;
  Ready ready_;
  bool source_lost_ = false;
};

/// Segments that may become one: by size, by the size of the indexes and by the range of relative
/// offsets, as Kafka groups them.
std::vector<std::vector<LogCleaning::Source>> group_for_cleaning(
    const std::vector<LogCleaning::Source>& segments, std::uint64_t max_bytes,
    std::uint64_t max_index_bytes);

}  // namespace broker::storage
