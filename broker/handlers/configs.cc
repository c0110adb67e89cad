// DescribeConfigs, IncrementalAlterConfigs and AlterConfigs.
#include <algorithm>
#include <utility>

#include "broker/common/topic_name.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"
#include "broker/metadata/effective_configs.h"
#include "broker/protocol/messages/describe_configs_request.h"
#include "broker/protocol/messages/describe_configs_response.h"

namespace broker::handlers {
namespace {

using metadata::ConfigResourceType;
using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using ConfigsResult = DescribeConfigsResponse::DescribeConfigsResult;

/// Where there is no detail, clients know the error's own words.
std::optional<std::string> message_of(const Error& error) {
  return error.detail.empty() ? std::nullopt : std::optional(error.detail);
}

/// Whether the caller may do `operation` on the configuration of a resource, and the error if not.
ErrorCode check_access(const Access& access, AclOperation operation, std::int8_t type,
                       const std::string& name) {
  switch (static_cast<ConfigResourceType>(type)) {
    case ConfigResourceType::kTopic:
      return access.may(operation, ResourceType::kTopic, name)
                 ? ErrorCode::kNone
                 : ErrorCode::kTopicAuthorizationFailed;
    case ConfigResourceType::kGroup:
      return access.may(operation, ResourceType::kGroup, name)
                 ? ErrorCode::kNone
                 : ErrorCode::kGroupAuthorizationFailed;
    case ConfigResourceType::kBroker:
    case ConfigResourceType::kBrokerLogger:
    case ConfigResourceType::kClientMetrics:
      return access.may_on_cluster(operation) ? ErrorCode::kNone
                                              : ErrorCode::kClusterAuthorizationFailed;
  }
  return ErrorCode::kInvalidRequest;
}

Result<std::vector<metadata::EffectiveConfig>> describe(const Services& services,
                                                        const Access& access, std::int8_t type,
                                                        const std::string& name) {
  const auto& image = access.image();
  const metadata::EffectiveConfigs configs(image.configs, services.config.node_id,
                                           services.config.values);
  switch (static_cast<ConfigResourceType>(type)) {
    case ConfigResourceType::kTopic:
      if (!is_valid_topic_name(name)) {
        return Error{ErrorCode::kInvalidTopicException, "Topic name is invalid: " + name};
      }
      if (image.topics.find(name) == nullptr) return ErrorCode::kUnknownTopicOrPartition;
      return configs.describe_topic(name);
    case ConfigResourceType::kBroker: {
      const std::string self = std::to_string(services.config.node_id.value);
      if (!name.empty() && name != self) {
        return Error{ErrorCode::kInvalidRequest, "Unexpected broker id, expected " + self +
                                                     " or empty string, but received " + name};
      }
      return configs.describe_broker(name);
    }
    case ConfigResourceType::kGroup:
      if (name.empty()) return Error{ErrorCode::kInvalidRequest, "Group name must not be empty"};
      return configs.describe_group(name);
    case ConfigResourceType::kBrokerLogger:
      return Error{ErrorCode::kInvalidRequest, "BROKER_LOGGER is not supported by this broker"};
    case ConfigResourceType::kClientMetrics:
      return Error{ErrorCode::kInvalidRequest, "CLIENT_METRICS is not supported by this broker"};
  }
  return Error{ErrorCode::kInvalidRequest,
               "Unsupported resource type: " + std::to_string(static_cast<int>(type))};
}

DescribeConfigsResponse::DescribeConfigsResourceResult describe_key(
    metadata::EffectiveConfig config, bool include_synonyms) {
  DescribeConfigsResponse::DescribeConfigsResourceResult result;
  result.name = std::move(config.name);
  result.value = std::move(config.value);
  result.read_only = config.read_only;
  result.config_source = static_cast<std::int8_t>(config.source);
  result.is_sensitive = config.sensitive;
  result.config_type = static_cast<std::int8_t>(config.type);
  result.documentation = std::nullopt;
  if (include_synonyms) {
    for (auto& synonym : config.synonyms) {
      result.synonyms.push_back({std::move(synonym.name), std::move(synonym.value),
                                 static_cast<std::int8_t>(synonym.source)});
    }
  }
  return result;
}

ConfigsResult describe_resource(const Services& services, const Access& access,
                                const DescribeConfigsRequest::DescribeConfigsResource& resource,
                                bool include_synonyms) {
  ConfigsResult result;
  result.resource_type = resource.resource_type;
  result.resource_name = resource.resource_name;
  result.error_message = std::nullopt;
  const ErrorCode denied = check_access(access, AclOperation::kDescribeConfigs,
                                        resource.resource_type, resource.resource_name);
  auto configs = denied == ErrorCode::kNone
                     ? describe(services, access, resource.resource_type, resource.resource_name)
                     : Result<std::vector<metadata::EffectiveConfig>>(denied);
  if (!configs.ok()) {
    result.error_code = wire(configs.error().code);
    result.error_message = message_of(configs.error());
    // Kafka has an empty text here, not the null that clients replace by the error's own.
    if (configs.error().code == ErrorCode::kUnknownTopicOrPartition) result.error_message = "";
    return result;
  }
  const auto& keys = resource.configuration_keys;
  for (auto& config : *configs) {
    if (keys && !keys->empty() &&
        std::find(keys->begin(), keys->end(), config.name) == keys->end()) {
      continue;
    }
    result.configs.push_back(describe_key(std::move(config), include_synonyms));
  }
  return result;
}

/// IncrementalAlterConfigs and the older AlterConfigs have the same shape.
template <class Request>
void alter(Services& services, Call<Request> call) {
  using Response = typename Request::Response;
  const Access access(services, call);
  Response refused;
  auto request = std::move(call.request);
  const auto refuse = [](Response& into, const auto& resource, const Error& error) {
    into.responses.push_back(
        {wire(error.code), message_of(error), resource.resource_type, resource.resource_name});
  };
  std::erase_if(request.resources, [&](const auto& resource) {
    const auto type = static_cast<ConfigResourceType>(resource.resource_type);
    Error error{check_access(access, AclOperation::kAlterConfigs, resource.resource_type,
                             resource.resource_name),
                {}};
    if (error.code == ErrorCode::kNone &&
        (type == ConfigResourceType::kBrokerLogger || type == ConfigResourceType::kClientMetrics)) {
      error = {ErrorCode::kInvalidRequest, "this resource type is not supported by this broker"};
    }
    if (error.code == ErrorCode::kNone) return false;
    refuse(refused, resource, error);
    return true;
  });
  if (request.resources.empty()) return call.reply(refused);
  auto asked = request.resources;
  const Asker asker = asker_of(services, call);
  ask_controller(services, asker, std::move(request),
                 [call = std::move(call), refused = std::move(refused), asked = std::move(asked),
                  refuse](Result<Response> result) mutable {
                   Response response;
                   if (result.ok()) {
                     response = std::move(*result);
                   } else {
                     for (const auto& resource : asked) refuse(response, resource, result.error());
                   }
                   for (auto& r : refused.responses) response.responses.push_back(std::move(r));
                   call.reply(response);
                 });
}

}  // namespace

void handle_describe_configs(Services& services, Call<DescribeConfigsRequest> call) {
  const Access access(services, call);
  DescribeConfigsResponse response;
  for (const auto& resource : call.request.resources) {
    response.results.push_back(
        describe_resource(services, access, resource, call.request.include_synonyms));
  }
  call.reply(response);
}

void handle_incremental_alter_configs(Services& services,
                                      Call<protocol::IncrementalAlterConfigsRequest> call) {
  alter(services, std::move(call));
}

void handle_alter_configs(Services& services, Call<protocol::AlterConfigsRequest> call) {
  alter(services, std::move(call));
}

}  // namespace broker::handlers
