#pragma once

// Pieces of a metadata log, for tests only.
#include <string>
#include <vector>

#include "broker/metadata/record.h"
#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"

namespace op::kafka {

inline broker::metadata::MetadataRecord topic(const std::string& name, std::uint64_t id) {
  broker::protocol::TopicRecord record;
  record.name = name;
  record.topic_id = broker::Uuid{id, id};
  return record;
}

inline broker::Slice batch(const broker::metadata::MetadataRecords& records, std::int64_t offset,
                           std::int32_t epoch) {
  broker::record::BatchBuilder builder(
      {.base_offset = broker::Offset{offset}, .leader_epoch = broker::LeaderEpoch{epoch}});
  for (const auto& record : records) {
    const auto value =
        broker::metadata::encode_record(record, broker::metadata::kLatestMetadataVersion);
    builder.add(1'000, std::nullopt, value->span());
  }
  return *builder.build();
}

inline broker::Slice control_batch(
    std::int64_t offset, std::int32_t epoch,
    broker::record::ControlType type = broker::record::ControlType::kLeaderChange) {
  const std::vector<std::uint8_t> value(2);
  return broker::record::make_control_batch(type, value, broker::Offset{offset},
                                            broker::LeaderEpoch{epoch}, 1'000);
}

inline broker::Slice joined(const std::vector<broker::Slice>& parts) {
  std::vector<std::uint8_t> bytes;
  for (const auto& part : parts) bytes.insert(bytes.end(), part.data(), part.data() + part.size());
  return broker::Slice(std::move(bytes));
}

/// Header, records, footer, numbered from 0.
inline broker::Slice snapshot(const broker::metadata::MetadataRecords& records,
                              std::int32_t epoch) {
  using broker::record::ControlType;
  const auto count = static_cast<std::int64_t>(records.size());
  return joined({control_batch(0, epoch, ControlType::kSnapshotHeader), batch(records, 1, epoch),
                 control_batch(1 + count, epoch, ControlType::kSnapshotFooter)});
}

}  // namespace op::kafka
