#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/config/config_def.h"

namespace broker::config {

/// A topic's effective configuration, typed; defaults are Kafka's. Times in milliseconds; -1 =
/// unlimited where Kafka says so.
struct TopicConfig {
  bool cleanup_delete = true;
  bool cleanup_compact = false;
  std::string compression_type = "producer";
  std::int32_t compression_gzip_level = -1;
  std::int32_t compression_lz4_level = 9;
  std::int32_t compression_zstd_level = 3;
  std::int64_t delete_retention_ms = 86400000;
  std::int64_t file_delete_delay_ms = 60000;
  std::int64_t flush_messages = INT64_MAX;
  std::int64_t flush_ms = INT64_MAX;
  std::int32_t index_interval_bytes = 4096;
  std::int64_t max_compaction_lag_ms = INT64_MAX;
  std::int32_t max_message_bytes = 1048588;
  std::int64_t message_timestamp_after_max_ms = 3600000;
  std::int64_t message_timestamp_before_max_ms = INT64_MAX;
  bool log_append_time = false;
  double min_cleanable_dirty_ratio = 0.5;
  std::int64_t min_compaction_lag_ms = 0;
  std::int32_t min_insync_replicas = 1;
  bool preallocate = false;
  std::int64_t retention_bytes = -1;
  std::int64_t retention_ms = 604800000;
  std::int32_t segment_bytes = 1073741824;
  std::int32_t segment_index_bytes = 10485760;
  std::int64_t segment_jitter_ms = 0;
  std::int64_t segment_ms = 604800000;
  bool unclean_leader_election_enable = false;

  /// From effective values by topic key, all of them valid; missing keys keep the default.
  static TopicConfig from(const ConfigMap& effective) {
    TopicConfig config;
    config.apply(effective);
    return config;
  }
  /// Overwrites what `values` has keys for.
  void apply(const ConfigMap& values);
  bool operator==(const TopicConfig&) const = default;
};

/// Checks a topic's own keys as CreateTopics and IncrementalAlterConfigs do. Errors:
/// kInvalidConfig: "Unknown topic config name: x", values, and keys that contradict each other.
Result<void> validate_topic_config(const ConfigMap& values);

/// Checks dynamic broker keys. `broker_name` "" is the cluster default. Errors: kInvalidConfig for
/// values, kInvalidRequest for keys that cannot change at run time or not on this level.
Result<void> validate_dynamic_broker_config(const ConfigMap& values, std::string_view broker_name);

}  // namespace broker::config
