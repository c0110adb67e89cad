// DescribeAcls, CreateAcls, DeleteAcls.
#include <map>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/describe_acls_request.h"
#include "broker/protocol/messages/describe_acls_response.h"
#include "broker/security/acl.h"

namespace broker::handlers {
namespace {

constexpr const char* kNoAuthorizer = "No Authorizer is configured.";

/// SECURITY_DISABLED without an authorizer, CLUSTER_AUTHORIZATION_FAILED without the right.
Error check(const Services& services, const Access& access, AclOperation operation) {
  if (services.state.get()->authorizer == nullptr) {
    return {ErrorCode::kSecurityDisabled, kNoAuthorizer};
  }
  if (!access.may_on_cluster(operation)) {
    return {ErrorCode::kClusterAuthorizationFailed, kAuthorizationFailed};
  }
  return {ErrorCode::kNone, {}};
}

security::AclFilter filter_of(const protocol::DescribeAclsRequest& request) {
  security::AclFilter filter;
  filter.type = static_cast<security::ResourceType>(request.resource_type_filter);
  filter.name = request.resource_name_filter;
  filter.pattern = static_cast<security::PatternType>(request.pattern_type_filter);
  filter.principal = request.principal_filter;
  filter.host = request.host_filter;
  filter.operation = static_cast<security::AclOperation>(request.operation);
  filter.permission = static_cast<security::AclPermission>(request.permission_type);
  return filter;
}

}  // namespace

void handle_describe_acls(Services& services, Call<protocol::DescribeAclsRequest> call) {
  const Access access(services, call);
  protocol::DescribeAclsResponse response;
  response.error_message = std::nullopt;
  const auto filter = filter_of(call.request);
  Error error = check(services, access, AclOperation::kDescribe);
  if (error.code == ErrorCode::kNone) {
    if (const auto valid = security::validate(filter); !valid.ok()) error = valid.error();
  }
  if (error.code != ErrorCode::kNone) {
    response.error_code = wire(error.code);
    response.error_message = error.detail;
    return call.reply(response);
  }
  std::map<security::Resource, protocol::DescribeAclsResponse::DescribeAclsResource> resources;
  for (const auto& [id, binding] : access.image().acls.by_id) {
    if (!security::matches(filter, binding)) continue;
    auto& resource = resources[binding.resource];
    resource.resource_type = static_cast<std::int8_t>(binding.resource.type);
    resource.resource_name = binding.resource.name;
    resource.pattern_type = static_cast<std::int8_t>(binding.resource.pattern);
    resource.acls.push_back({binding.principal, binding.host,
                             static_cast<std::int8_t>(binding.operation),
                             static_cast<std::int8_t>(binding.permission)});
  }
  for (auto& [key, resource] : resources) response.resources.push_back(std::move(resource));
  call.reply(response);
}

void handle_create_acls(Services& services, Call<protocol::CreateAclsRequest> call) {
  const Access access(services, call);
  const std::size_t count = call.request.creations.size();
  const auto refuse_all = [count](const Error& error) {
    protocol::CreateAclsResponse response;
    for (std::size_t i = 0; i < count; ++i) {
      response.results.push_back({wire(error.code), error.detail});
    }
    return response;
  };
  if (const Error error = check(services, access, AclOperation::kAlter);
      error.code != ErrorCode::kNone) {
    return call.reply(refuse_all(error));
  }
  auto request = std::move(call.request);
  const Asker asker = asker_of(services, call);
  ask_controller(
      services, asker, std::move(request),
      [call = std::move(call), refuse_all](Result<protocol::CreateAclsResponse> result) mutable {
        call.reply(result.ok() ? *result : refuse_all(result.error()));
      });
}

void handle_delete_acls(Services& services, Call<protocol::DeleteAclsRequest> call) {
  const Access access(services, call);
  const std::size_t count = call.request.filters.size();
  const auto refuse_all = [count](const Error& error) {
    protocol::DeleteAclsResponse response;
    for (std::size_t i = 0; i < count; ++i) {
      response.filter_results.push_back({wire(error.code), error.detail, {}});
    }
    return response;
  };
  if (const Error error = check(services, access, AclOperation::kAlter);
      error.code != ErrorCode::kNone) {
    return call.reply(refuse_all(error));
  }
  auto request = std::move(call.request);
  const Asker asker = asker_of(services, call);
  ask_controller(
      services, asker, std::move(request),
      [call = std::move(call), refuse_all](Result<protocol::DeleteAclsResponse> result) mutable {
        call.reply(result.ok() ? *result : refuse_all(result.error()));
      });
}

}  // namespace broker::handlers
