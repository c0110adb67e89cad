#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "broker/common/ids.h"
#include "broker/record/validate.h"

namespace broker::storage {

/// What a topic's configuration means for one log, with Kafka's defaults. A plain struct: the owner
/// of the log makes it from the effective configuration and posts a new one when that changes.
struct LogOptions {
  std::int64_t segment_bytes = 1073741824;
  std::int64_t segment_ms = 604800000;
  std::int64_t segment_jitter_ms = 0;
  std::int64_t segment_index_bytes = 10485760;
  std::int64_t index_interval_bytes = 4096;
  std::int64_t retention_ms = 604800000;  // -1: no limit
  std::int64_t retention_bytes = -1;      // -1: no limit
  bool cleanup_delete = true;             // cleanup.policy contains delete
  bool cleanup_compact = false;           // cleanup.policy contains compact
  std::int64_t file_delete_delay_ms = 60000;
  std::int64_t flush_messages = INT64_MAX;
  std::int64_t flush_ms = INT64_MAX;
  bool preallocate = false;  // accepted; files grow as they are written
  std::int32_t max_message_bytes = 1048588;
  record::TimestampType timestamp_type = record::TimestampType::kCreateTime;
  std::int64_t timestamp_before_max_ms = INT64_MAX;
  std::int64_t timestamp_after_max_ms = 3600000;
  std::optional<record::Compression> compression;  // nullopt: as the producer sent it
  std::optional<int> compression_level;
  // Read by the cleaner only.
  std::int64_t min_compaction_lag_ms = 0;
  std::int64_t max_compaction_lag_ms = INT64_MAX;
  std::int64_t delete_retention_ms = 86400000;
  double min_cleanable_dirty_ratio = 0.5;
  // Of the broker, the same for all logs.
  std::int64_t producer_id_expiration_ms = 86400000;
  std::size_t refer_bytes = 32 * 1024;  // less is cheaper to copy than to refer to
  std::size_t max_decompressed_bytes = record::kDefaultMaxDecompressedBytes;

  bool operator==(const LogOptions&) const = default;
};

}  // namespace broker::storage
