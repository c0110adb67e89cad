#include "broker/replication/topic_settings.h"

#include <algorithm>

namespace broker::replication {

namespace {

std::optional<record::Compression> to_compression(const std::string& type) {
  if (type == "uncompressed") return record::Compression::kNone;
  if (type == "gzip") return record::Compression::kGzip;
  if (type == "snappy") return record::Compression::kSnappy;
  if (type == "lz4") return record::Compression::kLz4;
  if (type == "zstd") return record::Compression::kZstd;
  return std::nullopt;  // "producer"
}

std::optional<int> level_of(const config::TopicConfig& config,
                            std::optional<record::Compression> compression) {
  if (!compression) return std::nullopt;
  switch (*compression) {
    case record::Compression::kGzip:
      return config.compression_gzip_level;
    case record::Compression::kLz4:
      return config.compression_lz4_level;
    case record::Compression::kZstd:
      return config.compression_zstd_level;
    case record::Compression::kNone:
    case record::Compression::kSnappy:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

storage::LogOptions to_log_options(const config::TopicConfig& config,
                                   std::int64_t producer_id_expiration_ms) {
  storage::LogOptions options;
  options.segment_bytes = config.segment_bytes;
  options.segment_ms = config.segment_ms;
  // Only what is not in the active segment can be compacted.
  if (config.cleanup_compact)
    options.segment_ms = std::min(options.segment_ms, config.max_compaction_lag_ms);
  options.segment_jitter_ms = config.segment_jitter_ms;
  options.segment_index_bytes = config.segment_index_bytes;
  options.index_interval_bytes = config.index_interval_bytes;
  options.retention_ms = config.retention_ms;
  options.retention_bytes = config.retention_bytes;
  options.cleanup_delete = config.cleanup_delete;
  options.cleanup_compact = config.cleanup_compact;
  options.file_delete_delay_ms = config.file_delete_delay_ms;
  options.flush_messages = config.flush_messages;
  options.flush_ms = config.flush_ms;
  options.preallocate = config.preallocate;
  options.max_message_bytes = config.max_message_bytes;
  options.timestamp_type = config.log_append_time ? record::TimestampType::kLogAppendTime
                                                  : record::TimestampType::kCreateTime;
  options.timestamp_before_max_ms = config.message_timestamp_before_max_ms;
  options.timestamp_after_max_ms = config.message_timestamp_after_max_ms;
  options.compression = to_compression(config.compression_type);
  options.compression_level = level_of(config, options.compression);
  options.min_compaction_lag_ms = config.min_compaction_lag_ms;
  options.max_compaction_lag_ms = config.max_compaction_lag_ms;
  options.delete_retention_ms = config.delete_retention_ms;
  options.min_cleanable_dirty_ratio = config.min_cleanable_dirty_ratio;
  options.producer_id_expiration_ms = producer_id_expiration_ms;
  return options;
}

Partition::Settings to_settings(const config::TopicConfig& config,
                                std::chrono::milliseconds replica_lag_time_max) {
  Partition::Settings settings;
  settings.min_insync_replicas = config.min_insync_replicas;
  settings.replica_lag_time_max = replica_lag_time_max;
  settings.flush_before_ack = config.flush_messages == 1;
  return settings;
}

}  // namespace broker::replication
