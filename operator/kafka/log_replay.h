#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/metadata/delta.h"
#include "broker/record/batch.h"

namespace op::kafka {

struct SnapshotId {
  broker::Offset end_offset;  // exclusive
  broker::LeaderEpoch epoch;

  auto operator<=>(const SnapshotId&) const = default;
};

/// The metadata log as it arrives, replayed up to the high watermark. What is fetched beyond it is
/// held back: a quorum leader hands out records that a majority does not have yet, and those may be
/// truncated. Pure; lives on one strand.
class LogReplay {
 public:
  /// From the beginning of the log.
  LogReplay();

  /// The next offset to fetch, and the epoch of the record before it (0 at the beginning).
  broker::Offset next_offset() const { return next_offset_; }
  broker::LeaderEpoch last_epoch() const;
  /// The next offset to replay: everything below is in the image.
  broker::Offset replayed_to() const { return replayed_to_; }
  bool has_uncommitted() const { return !tail_.empty(); }

  /// Whole batches, in order, as Fetch brings them; what is known already is skipped. Errors:
  /// kCorruptMessage (checksum, a gap).
  broker::Result<void> append(broker::Slice records);
  /// The leader's log ends at `end_offset` for `epoch` (DivergingEpoch): forgets what lies beyond.
  /// Errors: kOffsetOutOfRange when that was committed: it is another log, start over.
  broker::Result<void> truncate(broker::LeaderEpoch epoch, broker::Offset end_offset);
  /// Replays what lies below `high_watermark`; nullopt when that is nothing new. Errors are final:
  /// as MetadataDelta::replay and decode_record.
  broker::Result<std::optional<broker::metadata::MetadataUpdate>> commit(
      broker::Offset high_watermark);

  /// Starts over from a snapshot; its bytes follow in order, cut anywhere.
  void begin_snapshot(SnapshotId id);
  /// Bytes taken so far; the position of the next slice.
  std::int64_t snapshot_position() const { return snapshot_position_; }
  const std::optional<SnapshotId>& snapshot() const { return snapshot_; }
  /// Errors: kCorruptMessage, and as commit().
  broker::Result<void> append_snapshot(broker::Slice bytes);
  /// All bytes are there: the log goes on at its end. Errors: kCorruptMessage when they end inside
  /// a batch or without a footer.
  broker::Result<broker::metadata::MetadataUpdate> end_snapshot();

 private:
  broker::Result<void> replay(const broker::record::Batch& batch);

  broker::metadata::MetadataDelta delta_;
  broker::Offset next_offset_;
  broker::Offset replayed_to_;
  broker::LeaderEpoch replayed_epoch_;
  broker::WallMs replayed_timestamp_ = -1;
  std::deque<broker::record::Batch> tail_;  // fetched, not known to be committed

  std::optional<SnapshotId> snapshot_;
  std::int64_t snapshot_position_ = 0;
  std::vector<std::uint8_t> snapshot_rest_;  // a batch that is not whole yet
  bool snapshot_footer_ = false;
};

}  // namespace op::kafka
