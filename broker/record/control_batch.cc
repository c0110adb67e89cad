#include "broker/record/control_batch.h"

#include <array>

#include "broker/record/batch_builder.h"

namespace broker::record {
namespace {

constexpr std::size_t kKeyBytes = 4;
constexpr std::size_t kMarkerValueBytes = 6;

std::array<std::uint8_t, kKeyBytes> control_key(ControlType type) {
  std::array<std::uint8_t, kKeyBytes> key{};  // version 0
  store_be<std::int16_t>(key.data() + 2, static_cast<std::int16_t>(type));
  return key;
}

Slice one_record(const BatchOptions& options, ControlType type, Bytes value, WallMs timestamp) {
  BatchBuilder builder(options);
  const auto key = control_key(type);
  builder.add(timestamp, Bytes(key), value);
  return builder.build().value();  // uncompressed: cannot fail
}

}  // namespace

Result<std::optional<ControlType>> parse_control_key(std::optional<Bytes> key) {
  if (!key || key->size() < kKeyBytes) {
    return Error{ErrorCode::kInvalidRecord, "the key of a control record is too short"};
  }
  if (load_be<std::int16_t>(key->data()) < 0) {
    return Error{ErrorCode::kInvalidRecord, "the key of a control record has a negative version"};
  }
  const auto type = load_be<std::int16_t>(key->data() + 2);
  if (type < 0 || type > static_cast<std::int16_t>(ControlType::kKRaftVoters)) {
    return std::optional<ControlType>{};
  }
  return std::optional<ControlType>(static_cast<ControlType>(type));
}

Slice make_control_batch(ControlType type, Bytes value, Offset base_offset, LeaderEpoch epoch,
                         WallMs timestamp) {
  return one_record({.base_offset = base_offset, .leader_epoch = epoch, .control = true}, type,
                    value, timestamp);
}

Slice make_txn_marker(const TxnMarker& marker, WallMs timestamp) {
  std::array<std::uint8_t, kMarkerValueBytes> value{};  // version 0
  store_be<std::int32_t>(value.data() + 2, marker.coordinator_epoch);
  return one_record({.producer_id = marker.producer_id,
                     .producer_epoch = marker.producer_epoch,
                     .transactional = true,
                     .control = true},
                    marker.type, value, timestamp);
}

Result<std::optional<TxnMarker>> parse_txn_marker(const BatchHeader& header, Bytes records) {
  if (!header.is_control() || !header.has_producer_id() || header.record_count() == 0) {
    return std::optional<TxnMarker>{};
  }
  ASSIGN_OR_RETURN(const RecordView record,
                   read_record(records, header.base_offset(), header.base_timestamp()));
  ASSIGN_OR_RETURN(const auto type, parse_control_key(record.key));
  if (type != ControlType::kAbort && type != ControlType::kCommit) {
    return std::optional<TxnMarker>{};
  }
  if (!record.value || record.value->size() < kMarkerValueBytes) {
    return Error{ErrorCode::kInvalidRecord, "the value of a transaction marker is too short"};
  }
  return std::optional<TxnMarker>(
      TxnMarker{.type = *type,
                .producer_id = header.producer_id(),
                .producer_epoch = header.producer_epoch(),
                .coordinator_epoch = load_be<std::int32_t>(record.value->data() + 2)});
}

}  // namespace broker::record
