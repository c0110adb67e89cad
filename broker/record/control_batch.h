#pragma once

#include <cstdint>
#include <optional>

#include "broker/record/batch.h"
#include "broker/record/record_iterator.h"

namespace broker::record {

/// What the key of a control record says (two big-endian int16: version, type).
enum class ControlType : std::int16_t {
  kAbort = 0,
  kCommit = 1,
  kLeaderChange = 2,
  kSnapshotHeader = 3,
  kSnapshotFooter = 4,
  kKRaftVersion = 5,
  kKRaftVoters = 6,
};

/// nullopt for a type that Kafka may add later: such records are skipped. Errors: kInvalidRecord on
/// a key that is too short or of a negative version.
Result<std::optional<ControlType>> parse_control_key(std::optional<Bytes> key);

/// One control record of the quorum: `value` is the serialised message (LeaderChangeMessage,
/// SnapshotHeaderRecord, ...), whose first field is its version.
Slice make_control_batch(ControlType type, Bytes value, Offset base_offset, LeaderEpoch epoch,
                         WallMs timestamp);

/// A transaction marker as the coordinator has it appended (WriteTxnMarkers).
struct TxnMarker {
  ControlType type = ControlType::kAbort;  // kAbort or kCommit
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  std::int32_t coordinator_epoch = 0;

  bool operator==(const TxnMarker&) const = default;
};

Slice make_txn_marker(const TxnMarker& marker, WallMs timestamp);
/// nullopt when it is no transaction marker. `records` is what follows the header (control batches
/// are never compressed). Errors: kInvalidRecord.
Result<std::optional<TxnMarker>> parse_txn_marker(const BatchHeader& header, Bytes records);
inline Result<std::optional<TxnMarker>> parse_txn_marker(const Batch& batch) {
  return parse_txn_marker(batch.header(), batch.bytes.span().subspan(kBatchHeaderSize));
}

}  // namespace broker::record
