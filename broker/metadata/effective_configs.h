#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/config/broker_config.h"
#include "broker/config/config_def.h"
#include "broker/config/topic_config.h"
#include "broker/metadata/image.h"

namespace broker::metadata {

/// The numbers are those of DescribeConfigs.
enum class ConfigSource : std::int8_t {
  kTopic = 1,
  kDynamicBroker = 2,
  kDynamicDefaultBroker = 3,
  kStaticBroker = 4,
  kDefault = 5,
  kDynamicBrokerLogger = 6,
  kClientMetrics = 7,
  kGroup = 8,
};

struct ConfigSynonym {
  std::string name;
  std::optional<std::string> value;  // nullopt also when sensitive
  ConfigSource source = ConfigSource::kDefault;

  bool operator==(const ConfigSynonym&) const = default;
};

/// One key as DescribeConfigs shows it.
struct EffectiveConfig {
  std::string name;
  std::optional<std::string> value;  // nullopt also when sensitive
  bool read_only = false;
  ConfigSource source = ConfigSource::kDefault;
  bool sensitive = false;
  config::ConfigType type = config::ConfigType::kString;
  std::vector<ConfigSynonym> synonyms;  // strongest first
};

/// Configuration as it is in force on broker `node`, from the topic's keys, the broker's dynamic
/// keys, the cluster-wide default, server.properties and Kafka's default, in this order. A view:
/// lives no longer than the image and the static values. Keep one for many topics: what they share
/// is worked out once.
class EffectiveConfigs {
 public:
  EffectiveConfigs(const ConfigsImage& configs, BrokerId node,
                   const config::ConfigMap& static_values)
      : configs_(configs), node_(node), static_values_(static_values) {}

  config::TopicConfig topic(std::string_view topic) const;
  /// What a topic without keys of its own has.
  const config::TopicConfig& topic_defaults() const;
  /// A broker key that may be dynamic; nullopt when it is null.
  std::optional<std::string> broker(std::string_view key) const;

  std::vector<EffectiveConfig> describe_topic(const std::string& topic) const;
  /// `name` "" describes only what is set cluster-wide, as Kafka does; otherwise all keys.
  std::vector<EffectiveConfig> describe_broker(const std::string& name) const;
  std::vector<EffectiveConfig> describe_group(const std::string& group) const;

 private:
  std::vector<ConfigSynonym> broker_synonyms(const config::ConfigKey& key) const;
  std::vector<ConfigSynonym> topic_synonyms(const config::ConfigKey& key,
                                            const config::ConfigMap& own) const;

  const ConfigsImage& configs_;
  BrokerId node_;
  const config::ConfigMap& static_values_;
  mutable std::optional<config::TopicConfig> topic_defaults_;
};

}  // namespace broker::metadata
