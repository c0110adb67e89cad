#include "broker/config/topic_config.h"

#include <type_traits>

#include "broker/config/text.h"

namespace broker::config {
namespace {

std::optional<std::string> topic_value(const ConfigMap& values, std::string_view key) {
  if (const auto it = values.find(key); it != values.end()) return it->second;
  return ConfigDef::topic().find(key)->default_value;
}

}  // namespace

void TopicConfig::apply(const ConfigMap& effective) {
  if (effective.empty()) return;
  TopicConfig& out = *this;
  const auto take = [&](std::string_view key, auto& field) {
    const auto it = effective.find(key);
    if (it == effective.end()) return;
    using Field = std::decay_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, bool>)
      field = to_boolean(it->second);
    else if constexpr (std::is_same_v<Field, double>)
      field = to_double(it->second);
    else if constexpr (std::is_integral_v<Field>)
      field = static_cast<Field>(to_integer(it->second));
    else
      field = it->second;
  };
  if (const auto policy = effective.find("cleanup.policy"); policy != effective.end()) {
    out.cleanup_delete = out.cleanup_compact = false;
    for (const std::string& name : to_list(policy->second)) {
      if (name == "delete") out.cleanup_delete = true;
      if (name == "compact") out.cleanup_compact = true;
    }
  }
  if (const auto type = effective.find("message.timestamp.type"); type != effective.end())
    out.log_append_time = type->second == "LogAppendTime";
  take("compression.type", out.compression_type);
  take("compression.gzip.level", out.compression_gzip_level);
  take("compression.lz4.level", out.compression_lz4_level);
  take("compression.zstd.level", out.compression_zstd_level);
  take("delete.retention.ms", out.delete_retention_ms);
  take("file.delete.delay.ms", out.file_delete_delay_ms);
  take("flush.messages", out.flush_messages);
  take("flush.ms", out.flush_ms);
  take("index.interval.bytes", out.index_interval_bytes);
  take("max.compaction.lag.ms", out.max_compaction_lag_ms);
  take("max.message.bytes", out.max_message_bytes);
  take("message.timestamp.after.max.ms", out.message_timestamp_after_max_ms);
  take("message.timestamp.before.max.ms", out.message_timestamp_before_max_ms);
  take("min.cleanable.dirty.ratio", out.min_cleanable_dirty_ratio);
  take("min.compaction.lag.ms", out.min_compaction_lag_ms);
  take("min.insync.replicas", out.min_insync_replicas);
  take("preallocate", out.preallocate);
  take("retention.bytes", out.retention_bytes);
  take("retention.ms", out.retention_ms);
  take("segment.bytes", out.segment_bytes);
  take("segment.index.bytes", out.segment_index_bytes);
  take("segment.jitter.ms", out.segment_jitter_ms);
  take("segment.ms", out.segment_ms);
  take("unclean.leader.election.enable", out.unclean_leader_election_enable);
}

Result<void> validate_topic_config(const ConfigMap& values) {
  for (const auto& [name, value] : values) {
    const ConfigKey* key = ConfigDef::topic().find(name);
    if (key == nullptr)
      return Error{ErrorCode::kInvalidConfig, "Unknown topic config name: " + name};
    RETURN_IF_ERROR(validate(*key, value));
  }
  const std::int64_t min_lag = to_integer(*topic_value(values, "min.compaction.lag.ms"));
  const std::int64_t max_lag = to_integer(*topic_value(values, "max.compaction.lag.ms"));
  if (min_lag > max_lag)
    return Error{ErrorCode::kInvalidConfig,
                 "conflict topic config setting min.compaction.lag.ms (" + std::to_string(min_lag) +
                     ") > max.compaction.lag.ms (" + std::to_string(max_lag) + ")"};
  if (to_boolean(*topic_value(values, "remote.storage.enable")))
    return Error{ErrorCode::kInvalidConfig,
                 "Tiered Storage functionality is disabled in the broker. Topic cannot be "
                 "configured with remote log storage."};
  return {};
}

namespace {

/// Keys of TLS stores: while the broker runs they change for one listener, never for all.
bool is_store_key(std::string_view name) {
  return name == "ssl.key.password" || name.starts_with("ssl.keystore.") ||
         name.starts_with("ssl.truststore.");
}

Error refused_keys(const char* why, const std::vector<std::string>& names) {
  return {ErrorCode::kInvalidRequest, std::string(why) + ": [" + join(names, ", ") + "]"};
}

}  // namespace

Result<void> validate_dynamic_broker_config(const ConfigMap& values, std::string_view broker_name) {
  std::vector<std::string> read_only;
  std::vector<std::string> without_listener;
  std::vector<std::string> per_broker;
  Result<void> invalid;
  for (const auto& [name, value] : values) {
    const ConfigKey* key = ConfigDef::broker().find(name);
    constexpr std::string_view kPrefix = "listener.name.";
    const bool of_listener = key == nullptr && name.rfind(kPrefix, 0) == 0;
    if (of_listener) {  // listener.name.internal.ssl.keystore.location
      const auto dot = name.find('.', kPrefix.size());
      key = dot == name.npos ? nullptr : ConfigDef::broker().find(name.substr(dot + 1));
    }
    if (key == nullptr)
      return Error{ErrorCode::kInvalidConfig, "Unknown broker config name: " + name};
    if (key->update == UpdateMode::kReadOnly) read_only.push_back(name);
    if (is_store_key(name)) without_listener.push_back(name);
    if (broker_name.empty() && (of_listener || key->update == UpdateMode::kPerBroker))
      per_broker.push_back(name);
    if (invalid.ok()) invalid = validate(*key, value);
  }
  // In Kafka's order.
  if (!read_only.empty()) return refused_keys("Cannot update these configs dynamically", read_only);
  if (!without_listener.empty())
    return refused_keys(
        "These security configs can be dynamically updated only per-listener using the listener "
        "prefix",
        without_listener);
  RETURN_IF_ERROR(invalid);
  if (!per_broker.empty())
    return refused_keys(
        "Cannot update these configs at default cluster level, broker id must be specified",
        per_broker);
  return {};
}

}  // namespace broker::config
