// DescribeClientQuotas (KIP-546). kafka-configs asks for a user's quotas before it asks for the
// user's SCRAM credentials.
#include <map>
#include <set>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/describe_client_quotas_request.h"
#include "broker/protocol/messages/describe_client_quotas_response.h"

namespace broker::handlers {
namespace {

using Request = protocol::DescribeClientQuotasRequest;
using Response = protocol::DescribeClientQuotasResponse;

constexpr std::int8_t kMatchExact = 0;
constexpr std::int8_t kMatchDefault = 1;
constexpr std::int8_t kMatchSpecified = 2;

/// What a request asks for: these entity types with these names (nullopt is the default entity),
/// and those types with any name.
struct Filter {
  std::map<std::string, std::optional<std::string>> exact;
  std::set<std::string> any;
  bool strict = false;  // no other types

  bool names(const std::string& type) const { return exact.contains(type) || any.contains(type); }
};

Error invalid(std::string detail) { return {ErrorCode::kInvalidRequest, std::move(detail)}; }

Result<void> add(Filter& filter, const Request::ComponentData& component) {
  const std::string& type = component.entity_type;
  if (type.empty()) return invalid("Invalid empty entity type.");
  if (filter.names(type)) {
    return invalid("Entity type " + type + " cannot appear more than once in the filter.");
  }
  if (type != "user" && type != "client-id" && type != "ip") {
    return Error{ErrorCode::kUnsupportedVersion, "Unsupported entity type " + type};
  }
  switch (component.match_type) {
    case kMatchExact:
      if (!component.match) {
        return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.");
      }
      filter.exact[type] = component.match;
      return {};
    case kMatchDefault:
      if (component.match) {
        return invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.");
      }
      filter.exact[type] = std::nullopt;
      return {};
    case kMatchSpecified:
      if (component.match) {
        return invalid(
            "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.");
      }
      filter.any.insert(type);
      return {};
    default:
      return invalid("Unknown match type " + std::to_string(component.match_type));
  }
}

Result<Filter> filter_of(const Request& request) {
  Filter filter;
  filter.strict = request.strict;
  for (const auto& component : request.components) RETURN_IF_ERROR(add(filter, component));
  if (filter.names("ip") && (filter.names("user") || filter.names("client-id"))) {
    return invalid(
        "Invalid entity filter component combination. IP filter component should not be used with "
        "user or clientId filter component.");
  }
  return filter;
}

bool matches(const Filter& filter, const metadata::QuotaEntity& entity) {
  std::size_t matched = 0;
  for (const auto& [type, name] : entity) {
    if (const auto exact = filter.exact.find(type); exact != filter.exact.end()) {
      if (exact->second != name) return false;
      ++matched;
    } else if (filter.any.contains(type)) {
      ++matched;
    } else if (filter.strict) {
      return false;
    }
  }
  return matched == filter.exact.size() + filter.any.size();
}

Response::EntryData describe(const metadata::QuotaEntity& entity,
                             const std::map<std::string, double>& values) {
  Response::EntryData entry;
  for (const auto& [type, name] : entity) entry.entity.push_back({type, name});
  for (const auto& [key, value] : values) entry.values.push_back({key, value});
  return entry;
}

}  // namespace

void handle_describe_client_quotas(Services& services, Call<Request> call) {
  const Access access(services, call);
  Response response;
  response.error_message = std::nullopt;
  const auto refuse = [&](ErrorCode code, std::string message) {
    response.error_code = wire(code);
    response.error_message = std::move(message);
    response.entries = std::nullopt;
    call.reply(response);
  };
  if (!access.may_on_cluster(AclOperation::kDescribeConfigs)) {
    return refuse(ErrorCode::kClusterAuthorizationFailed, kAuthorizationFailed);
  }
  const auto filter = filter_of(call.request);
  if (!filter.ok()) return refuse(filter.error().code, filter.error().detail);
  response.entries.emplace();
  for (const auto& [entity, values] : access.image().client_quotas.by_entity) {
    if (matches(*filter, entity)) response.entries->push_back(describe(entity, values));
  }
  call.reply(response);
}

}  // namespace broker::handlers
