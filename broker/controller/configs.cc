#include "broker/controller/configs.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "broker/common/text.h"
#include "broker/config/topic_config.h"
#include "broker/controller/min_insync.h"
#include "broker/controller/topics.h"

namespace broker::controller {
namespace {

using config::ConfigDef;
using config::ConfigMap;
using metadata::ConfigResource;
using metadata::ConfigResourceType;

enum class Operation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

Error invalid_request(std::string detail) {
  return {ErrorCode::kInvalidRequest, std::move(detail)};
}

Result<void> check_broker_name(const DecideContext& context, const std::string& name) {
  if (name.empty()) return {};  // the cluster-wide default
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id < 0)
    return invalid_request("Unable to parse broker name as a base 10 number.");
  if (context.image.cluster.broker(BrokerId{id}) == nullptr)
    return Error{ErrorCode::kBrokerIdNotRegistered, "No broker with id " + name + " found."};
  return {};
}

Result<void> check_resource(const DecideContext& context, const ConfigResource& resource) {
  switch (resource.type) {
    case ConfigResourceType::kTopic:
      if (resource.name.empty()) return invalid_request("Default topic resources are not allowed.");
      RETURN_IF_ERROR(validate_topic_name(resource.name));
      if (context.image.topics.find(resource.name) == nullptr)
        return Error{ErrorCode::kUnknownTopicOrPartition,
                     "The topic '" + resource.name + "' does not exist."};
      return {};
    case ConfigResourceType::kBroker:
      return check_broker_name(context, resource.name);
    case ConfigResourceType::kGroup:
      if (resource.name.empty()) return invalid_request("Default group resources are not allowed.");
      return {};
    case ConfigResourceType::kBrokerLogger:
      return invalid_request("Unexpected resource type BROKER_LOGGER.");
    case ConfigResourceType::kClientMetrics:
      return invalid_request("Client metrics subscriptions are not supported.");
  }
  return invalid_request("Unexpected resource type " +
                         std::to_string(static_cast<int>(resource.type)) + ".");
}

const config::ConfigKey* find_key(const ConfigResource& resource, const std::string& name) {
  switch (resource.type) {
    case ConfigResourceType::kTopic:
      return ConfigDef::topic().find(name);
    case ConfigResourceType::kGroup:
      return ConfigDef::group().find(name);
    case ConfigResourceType::kBroker:
    case ConfigResourceType::kBrokerLogger:
    case ConfigResourceType::kClientMetrics:
      return ConfigDef::broker().find(name);
  }
  return nullptr;
}

Result<void> validate_values(const ConfigResource& resource, const ConfigMap& values) {
  switch (resource.type) {
    case ConfigResourceType::kTopic:
      return config::validate_topic_config(values);
    case ConfigResourceType::kBroker: {
      // Kafka answers InvalidRequest here, and InvalidConfig for topics.
      auto valid = config::validate_dynamic_broker_config(values, resource.name);
      return valid.ok() ? valid : invalid_request(valid.error().detail);
    }
    case ConfigResourceType::kGroup:
      for (const auto& [name, value] : values) {
        const config::ConfigKey* key = ConfigDef::group().find(name);
        if (key == nullptr)
          return Error{ErrorCode::kInvalidConfig, "Unknown group config name: " + name};
        RETURN_IF_ERROR(config::validate(*key, value));
      }
      return {};
    case ConfigResourceType::kBrokerLogger:
    case ConfigResourceType::kClientMetrics:
      break;
  }
  return {};
}

/// APPEND and SUBTRACT work on the value set, or on the default where none is.
Result<std::string> change_list(const ConfigResource& resource, const ConfigMap& values,
                                const std::string& name, const std::string& parts, bool append) {
  const config::ConfigKey* key = find_key(resource, name);
  if (key == nullptr || key->type != config::ConfigType::kList)
    return Error{ErrorCode::kInvalidConfig, std::string("Can't ") +
                                                (append ? "APPEND" : "SUBTRACT") + " to key " +
                                                name + " because its type is not LIST."};
  const auto it = values.find(name);
  std::vector<std::string> list =
      config::to_list(it != values.end() ? it->second : key->default_value.value_or(""));
  for (const std::string& part : config::to_list(parts)) {
    const auto at = std::find(list.begin(), list.end(), part);
    if (append && at == list.end()) list.push_back(part);
    if (!append && at != list.end()) list.erase(at);
  }
  return join(list, ",");
}

using AlterableConfig = protocol::IncrementalAlterConfigsRequest::AlterableConfig;

Result<void> apply_operation(const ConfigResource& resource, const AlterableConfig& change,
                             ConfigMap& values) {
  const auto operation = static_cast<Operation>(change.config_operation);
  if (change.config_operation < 0 || operation > Operation::kSubtract)
    return invalid_request("Unknown operation type " + std::to_string(change.config_operation));
  if (change.name.empty()) return invalid_request("Config name must not be empty.");
  if (operation == Operation::kDelete) {
    values.erase(change.name);
    return {};
  }
  if (!change.value) return invalid_request("Null value not supported for : " + change.name);
  if (operation == Operation::kSet) {
    values[change.name] = *change.value;
    return {};
  }
  ASSIGN_OR_RETURN(values[change.name], change_list(resource, values, change.name, *change.value,
                                                    operation == Operation::kAppend));
  return {};
}

/// The records that turn `before` into `after`. A broker's unchanged value is written again when
/// it was named: that is how certificates are reloaded (KAFKA-14136).
metadata::MetadataRecords records_for(const ConfigResource& resource, const ConfigMap& before,
                                      const ConfigMap& after, const std::set<std::string>& named) {
  metadata::MetadataRecords records;
  const auto add = [&](const std::string& name, std::optional<std::string> value) {
    protocol::ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(resource.type);
    record.resource_name = resource.name;
    record.name = name;
    record.value = std::move(value);
    records.emplace_back(std::move(record));
  };
  for (const auto& [name, value] : before)
    if (!after.contains(name)) add(name, std::nullopt);
  for (const auto& [name, value] : after) {
    const auto it = before.find(name);
    const bool again = resource.type == ConfigResourceType::kBroker && named.contains(name);
    if (it == before.end() || it->second != value || again) add(name, value);
  }
  return records;
}

/// Only what the request touches is judged, so that a key which became invalid by an upgrade does
/// not block changing the others; contradictions between keys need all values.
Result<void> validate_change(const ConfigResource& resource, const ConfigMap& after,
                             const std::set<std::string>& named) {
  ConfigMap touched;
  for (const auto& [name, value] : after)
    if (named.contains(name)) touched[name] = value;
  RETURN_IF_ERROR(validate_values(resource, touched));
  if (resource.type != ConfigResourceType::kTopic || touched.empty()) return {};
  return validate_values(resource, after);
}

template <class Config>
Result<std::set<std::string>> unique_names(const std::vector<Config>& configs) {
  std::set<std::string> names;
  for (const Config& config : configs)
    if (!names.insert(config.name).second)
      return invalid_request("Error due to duplicate config keys");
  return names;
}

Result<metadata::MetadataRecords> alter(
    const DecideContext& context,
    const protocol::IncrementalAlterConfigsRequest::AlterConfigsResource& wanted) {
  const ConfigResource resource{static_cast<ConfigResourceType>(wanted.resource_type),
                                wanted.resource_name};
  ASSIGN_OR_RETURN(const std::set<std::string> named, unique_names(wanted.configs));
  RETURN_IF_ERROR(check_resource(context, resource));
  const ConfigMap& before = context.image.configs.of(resource);
  ConfigMap after = before;
  for (const auto& change : wanted.configs)
    RETURN_IF_ERROR(apply_operation(resource, change, after));
  RETURN_IF_ERROR(validate_change(resource, after, named));
  return records_for(resource, before, after, named);
}

Result<metadata::MetadataRecords> alter(
    const DecideContext& context,
    const protocol::AlterConfigsRequest::AlterConfigsResource& wanted) {
  const ConfigResource resource{static_cast<ConfigResourceType>(wanted.resource_type),
                                wanted.resource_name};
  ASSIGN_OR_RETURN(const std::set<std::string> named, unique_names(wanted.configs));
  RETURN_IF_ERROR(check_resource(context, resource));
  ConfigMap after;
  for (const auto& config : wanted.configs) {
    if (!config.value) return invalid_request("Null value not supported for : " + config.name);
    after[config.name] = *config.value;
  }
  RETURN_IF_ERROR(validate_values(resource, after));
  return records_for(resource, context.image.configs.of(resource), after, named);
}

template <class Request, class Response>
ControllerResult<Response> alter_all(const DecideContext& context, const Request& request) {
  using Key = std::pair<std::int8_t, std::string>;
  std::set<Key> seen;
  std::set<Key> duplicates;
  for (const auto& r : request.resources)
    if (!seen.emplace(r.resource_type, r.resource_name).second)
      duplicates.emplace(r.resource_type, r.resource_name);
  ControllerResult<Response> out;
  for (const auto& wanted : request.resources) {
    const Key key(wanted.resource_type, wanted.resource_name);
    auto records = duplicates.contains(key) ? Result<metadata::MetadataRecords>(invalid_request(
                                                  "Each resource must appear at most once."))
                                            : alter(context, wanted);
    if (records.ok()) {
      if (const auto ok = check_min_insync_change(context.image, *records); !ok.ok())
        records = ok.error();
    }
    typename Response::AlterConfigsResourceResponse result;
    result.resource_type = wanted.resource_type;
    result.resource_name = wanted.resource_name;
    result.error_message = std::nullopt;
    if (!records.ok()) {
      result.error_code = static_cast<std::int16_t>(records.code());
      result.error_message = records.error().detail;
    } else if (!request.validate_only) {
      auto more = after_min_insync_change(context, *records);
      std::move(records->begin(), records->end(), std::back_inserter(out.records));
      std::move(more.begin(), more.end(), std::back_inserter(out.records));
    }
    out.response.responses.push_back(std::move(result));
  }
  return out;
}

}  // namespace

ControllerResult<protocol::IncrementalAlterConfigsResponse> decide(
    const DecideContext& context, const protocol::IncrementalAlterConfigsRequest& request) {
  return alter_all<protocol::IncrementalAlterConfigsRequest,
                   protocol::IncrementalAlterConfigsResponse>(context, request);
}

ControllerResult<protocol::AlterConfigsResponse> decide(
    const DecideContext& context, const protocol::AlterConfigsRequest& request) {
  return alter_all<protocol::AlterConfigsRequest, protocol::AlterConfigsResponse>(context, request);
}

}  // namespace broker::controller
