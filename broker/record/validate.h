#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/record/batch.h"
#include "broker/record/codec.h"

namespace broker::record {

/// Who hands a batch to a leader's log.
enum class AppendOrigin {
  kClient,       // Produce: everything is checked
  kCoordinator,  // a coordinator's own records and transaction markers
  kRaftLeader,   // the metadata quorum's records and control batches
};

/// The parts of a topic's configuration that decide about a batch.
struct ProduceRules {
  AppendOrigin origin = AppendOrigin::kClient;
  std::int32_t max_message_bytes = 1048588;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  std::int64_t timestamp_before_max_ms = INT64_MAX;
  std::int64_t timestamp_after_max_ms = 3600000;
  bool compacted = false;                  // cleanup.policy contains compact: keys are required
  std::optional<Compression> compression;  // compression.type; nullopt = "producer"
  std::optional<int> compression_level;
  std::size_t max_decompressed_bytes = kDefaultMaxDecompressedBytes;
  const TopicPartition* partition = nullptr;  // whose name refusals tell
};

/// Why one record was refused, as ProduceResponse v8+ carries it.
struct RecordError {
  std::int32_t batch_index = 0;  // of the record in its batch
  std::string message;

  bool operator==(const RecordError&) const = default;
};

/// A batch that may be appended. `header` replaces the first 61 bytes, `records` are the bytes
/// behind it: those of the request, untouched, unless the topic's codec differs.
/// Base offset and leader epoch are still to be set; they lie outside the checksum.
struct ValidatedBatch {
  std::array<std::uint8_t, kBatchHeaderSize> bytes;
  Slice records;

  BatchHeader header() const { return BatchHeader(bytes); }
  std::size_t size_bytes() const { return kBatchHeaderSize + records.size(); }
};

/// Checks one batch as Kafka's leader does and rewrites timestamps and codec where the topic asks
/// for it. Records of an uncompressed batch are walked without an allocation. Errors:
/// kCorruptMessage (size, checksum, codec), kMessageTooLarge, kInvalidRecord (magic, counts,
/// offsets, control or keyless records), kInvalidTimestamp (outside the window),
/// kUnsupportedCompressionType. `record_errors`, if given, receives the refused records.
Result<ValidatedBatch> validate_produce_batch(const Batch& batch, const ProduceRules& rules,
                                              WallMs now,
                                              std::vector<RecordError>* record_errors = nullptr);

/// What a Produce request of `produce_version` may carry for one partition: exactly one batch of
/// magic 2, with zstd only from version 7. Errors: kInvalidRecord, kUnsupportedCompressionType,
/// kCorruptMessage.
Result<Batch> parse_produce_records(const Slice& records, std::int16_t produce_version);

}  // namespace broker::record
