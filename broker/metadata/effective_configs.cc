#include "broker/metadata/effective_configs.h"

#include <algorithm>
#include <array>

namespace broker::metadata {
namespace {

using config::ConfigDef;
using config::ConfigKey;
using config::ConfigMap;

/// log.retention.hours stands for retention.ms: the coarser synonyms are in other units.
std::string in_milliseconds(std::string_view synonym, const std::string& value) {
  std::int64_t factor = 1;
  if (synonym.ends_with(".hours")) factor = 3600000;
  if (synonym.ends_with(".minutes")) factor = 60000;
  if (factor == 1) return value;
  const std::int64_t number = config::to_integer(value);
  return number < 0 ? "-1" : std::to_string(number * factor);
}

const std::string* look_up(const ConfigMap& values, const std::string& key) {
  const auto it = values.find(key);
  return it == values.end() ? nullptr : &it->second;
}

std::optional<std::string> shown(const ConfigKey& key, const std::string& value) {
  return key.sensitive() ? std::nullopt : std::optional(value);
}

/// DescribeConfigs shows a topic key's synonyms from the first that has the finest unit's name on:
/// log.retention.hours alone is not shown for retention.ms. A key that no broker key stands for
/// shows no default.
void drop_what_kafka_hides(const ConfigKey& key, std::vector<ConfigSynonym>& synonyms) {
  auto from = synonyms.begin();
  if (from != synonyms.end() && from->source == ConfigSource::kTopic) ++from;
  const auto shown_from = std::find_if(from, synonyms.end(), [&](const ConfigSynonym& s) {
    return !key.synonyms.empty() && s.name == key.synonyms.front();
  });
  synonyms.erase(from, shown_from);
}

/// listener.name.internal.scram-sha-256.sasl.jaas.config: the key that it is an instance of, or
/// nullptr.
const ConfigKey* base_key(std::string_view name) {
  constexpr std::string_view kPrefix = "listener.name.";
  if (name.substr(0, kPrefix.size()) != kPrefix) return nullptr;
  name.remove_prefix(kPrefix.size());
  for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.')) {
    name.remove_prefix(dot + 1);
    if (const ConfigKey* key = ConfigDef::broker().find(name)) return key;
  }
  return nullptr;
}

/// Of a topic about which nothing is configured anywhere.
config::TopicConfig kafkas_topic_defaults() {
  ConfigMap effective;
  for (const auto& [name, key] : ConfigDef::topic().keys()) {
    if (key.synonyms.empty()) {
      if (key.default_value) effective[name] = *key.default_value;
      continue;
    }
    for (const std::string& synonym : key.synonyms) {
      const ConfigKey* of_broker = ConfigDef::broker().find(synonym);
      if (!of_broker->default_value) continue;
      effective[name] = in_milliseconds(synonym, *of_broker->default_value);
      break;
    }
  }
  return config::TopicConfig::from(effective);
}

EffectiveConfig describe(const ConfigKey& key, std::vector<ConfigSynonym> synonyms,
                         ConfigSource default_source = ConfigSource::kDefault) {
  EffectiveConfig out;
  out.name = key.name;
  out.type = key.type;
  out.sensitive = key.sensitive();
  out.source = synonyms.empty() ? default_source : synonyms.front().source;
  if (!synonyms.empty()) out.value = synonyms.front().value;
  out.synonyms = std::move(synonyms);
  return out;
}

}  // namespace

/// Where a broker key gets its value from, strongest first, Kafka's default last.
std::vector<ConfigSynonym> EffectiveConfigs::broker_synonyms(const ConfigKey& key) const {
  std::vector<ConfigSynonym> out;
  const auto add = [&](const ConfigMap& values, ConfigSource source) {
    if (const std::string* value = look_up(values, key.name))
      out.push_back({key.name, shown(key, *value), source});
  };
  add(configs_.of({ConfigResourceType::kBroker, std::to_string(node_.value)}),
      ConfigSource::kDynamicBroker);
  add(configs_.of({ConfigResourceType::kBroker, ""}), ConfigSource::kDynamicDefaultBroker);
  add(static_values_, ConfigSource::kStaticBroker);
  if (key.default_value)
    out.push_back({key.name, shown(key, *key.default_value), ConfigSource::kDefault});
  return out;
}

std::vector<ConfigSynonym> EffectiveConfigs::topic_synonyms(const ConfigKey& key,
                                                            const ConfigMap& own) const {
  std::vector<ConfigSynonym> out;
  if (const std::string* value = look_up(own, key.name))
    out.push_back({key.name, *value, ConfigSource::kTopic});
  for (const std::string& synonym : key.synonyms)
    for (ConfigSynonym& entry : broker_synonyms(*ConfigDef::broker().find(synonym)))
      out.push_back(std::move(entry));
  if (key.synonyms.empty() && key.default_value)
    out.push_back({key.name, *key.default_value, ConfigSource::kDefault});
  // Whatever is set anywhere comes before a default: log.retention.hours in server.properties beats
  // the default of log.retention.minutes.
  std::stable_partition(out.begin(), out.end(), [](const ConfigSynonym& entry) {
    return entry.source != ConfigSource::kDefault;
  });
  return out;
}

config::TopicConfig EffectiveConfigs::topic(std::string_view topic) const {
  config::TopicConfig config = topic_defaults();
  config.apply(configs_.of({ConfigResourceType::kTopic, std::string(topic)}));
  return config;
}

/// Whatever is configured anywhere, over what Kafka's defaults say, which is worked out once: this
/// runs for every metadata update. As topic_synonyms(), without the list.
const config::TopicConfig& EffectiveConfigs::topic_defaults() const {
  if (topic_defaults_) return *topic_defaults_;
  static const config::TopicConfig kDefaults = kafkas_topic_defaults();
  const std::array<const ConfigMap*, 3> levels{
      &configs_.of({ConfigResourceType::kBroker, std::to_string(node_.value)}),
      &configs_.of({ConfigResourceType::kBroker, ""}), &static_values_};
  ConfigMap configured;
  for (const auto& [name, key] : ConfigDef::topic().keys()) {
    const auto find = [&](const std::string& synonym) {
      for (const ConfigMap* values : levels)
        if (const std::string* value = look_up(*values, synonym)) {
          configured[name] = in_milliseconds(synonym, *value);
          return true;
        }
      return false;
    };
    (void)std::any_of(key.synonyms.begin(), key.synonyms.end(), find);
  }
  config::TopicConfig& config = topic_defaults_.emplace(kDefaults);
  config.apply(configured);
  return config;
}

std::optional<std::string> EffectiveConfigs::broker(std::string_view name) const {
  const std::string key(name);
  for (const std::string& resource : {std::to_string(node_.value), std::string()})
    if (const std::string* value =
            look_up(configs_.of({ConfigResourceType::kBroker, resource}), key))
      return *value;
  if (const std::string* value = look_up(static_values_, key)) return *value;
  const ConfigKey* known = ConfigDef::broker().find(name);
  return known == nullptr ? std::nullopt : known->default_value;
}

std::vector<EffectiveConfig> EffectiveConfigs::describe_topic(const std::string& topic) const {
  const ConfigMap& own = configs_.of({ConfigResourceType::kTopic, topic});
  std::vector<EffectiveConfig> out;
  for (const auto& [name, key] : ConfigDef::topic().keys()) {
    if (key.internal) continue;
    EffectiveConfig entry = describe(key, topic_synonyms(key, own));
    if (entry.value && !entry.synonyms.empty())
      entry.value = in_milliseconds(entry.synonyms.front().name, *entry.value);
    drop_what_kafka_hides(key, entry.synonyms);
    entry.source = entry.synonyms.empty() ? ConfigSource::kDefault : entry.synonyms.front().source;
    out.push_back(std::move(entry));
  }
  return out;
}

std::vector<EffectiveConfig> EffectiveConfigs::describe_broker(const std::string& name) const {
  std::vector<EffectiveConfig> out;
  const ConfigMap& own = configs_.of({ConfigResourceType::kBroker, name});
  if (name.empty()) {
    for (const auto& [key_name, value] : own) {
      ConfigKey key;
      key.name = key_name;
      if (const ConfigKey* known = ConfigDef::broker().find(key_name)) key = *known;
      out.push_back(
          describe(key, {{key_name, shown(key, value), ConfigSource::kDynamicDefaultBroker}}));
    }
    return out;
  }
  for (const auto& [key_name, key] : ConfigDef::broker().keys()) {
    if (key.internal) continue;
    if (key.described_only_when_set && !own.contains(key_name)) continue;
    EffectiveConfig entry = describe(key, broker_synonyms(key));
    entry.read_only = key.update == config::UpdateMode::kReadOnly;
    out.push_back(std::move(entry));
  }
  // What else server.properties holds: keys of one listener, keys of plugins. A key of unknown type
  // might be a secret.
  for (const auto& [key_name, value] : static_values_) {
    if (ConfigDef::broker().find(key_name) != nullptr) continue;
    ConfigKey key;
    key.type = config::ConfigType::kUnknown;
    if (const ConfigKey* base = base_key(key_name)) key = *base;
    key.name = key_name;
    EffectiveConfig entry =
        describe(key, {{key_name, shown(key, value), ConfigSource::kStaticBroker}});
    entry.read_only = key.update == config::UpdateMode::kReadOnly;
    out.push_back(std::move(entry));
  }
  return out;
}

std::vector<EffectiveConfig> EffectiveConfigs::describe_group(const std::string& group) const {
  const ConfigMap& own = configs_.of({ConfigResourceType::kGroup, group});
  std::vector<EffectiveConfig> out;
  for (const auto& [name, key] : ConfigDef::group().keys()) {
    if (key.internal) continue;
    std::vector<ConfigSynonym> synonyms;
    if (const std::string* value = look_up(own, name))
      synonyms.push_back({name, *value, ConfigSource::kGroup});
    // A group's key falls back to the broker's: group.consumer.session.timeout.ms and so on.
    if (const ConfigKey* of_broker = ConfigDef::broker().find("group." + name))
      for (ConfigSynonym& entry : broker_synonyms(*of_broker)) synonyms.push_back(std::move(entry));
    else if (key.default_value)
      synonyms.push_back({name, *key.default_value, ConfigSource::kDefault});
    out.push_back(describe(key, std::move(synonyms)));
  }
  return out;
}

}  // namespace broker::metadata
