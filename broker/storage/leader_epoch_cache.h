#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"

namespace broker::storage {

struct EpochStart {
  LeaderEpoch epoch;
  Offset start_offset;

  bool operator==(const EpochStart&) const = default;
};

/// The answer of OffsetForLeaderEpoch.
struct EpochEnd {
  LeaderEpoch epoch;  // the largest known epoch that is not above the one asked for
  Offset end_offset;  // where the next one begins

  bool operator==(const EpochEnd&) const = default;
};

/// At which offset each leader epoch began (KIP-101). Epochs and offsets strictly increase. Pure;
/// the log keeps its text in leader-epoch-checkpoint.
class LeaderEpochCache {
 public:
  /// Notes that `epoch` begins at `start_offset`. Returns whether anything changed: an epoch that
  /// is already there or below the latest changes nothing; entries at or behind `start_offset` had
  /// no records and go.
  bool assign(LeaderEpoch epoch, Offset start_offset);

  std::optional<LeaderEpoch> latest() const;
  std::optional<LeaderEpoch> epoch_for(Offset offset) const;
  /// Latest epoch: (epoch, log end). Above all: nullopt. Below all: (epoch, first start). Else the
  /// floor epoch and the start of the one behind it.
  std::optional<EpochEnd> end_offset_for(LeaderEpoch epoch, Offset log_end_offset) const;

  /// The log now ends at `end_offset`. Returns whether anything changed.
  bool truncate_from_end(Offset end_offset);
  /// The log now starts at `start_offset`: the entry in force there is clamped to it.
  bool truncate_from_start(Offset start_offset);
  void clear() { entries_.clear(); }

  const std::vector<EpochStart>& entries() const { return entries_; }

  /// "0\n<n>\n<epoch> <start offset>\n"...
  std::string to_text() const;
  /// Errors: kKafkaStorageError on a wrong version, count or order.
  static Result<LeaderEpochCache> parse(std::string_view text);

 private:
  std::vector<EpochStart> entries_;
};

}  // namespace broker::storage
