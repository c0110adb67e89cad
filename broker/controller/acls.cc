#include <set>

#include "broker/controller/credentials.h"
#include "broker/security/acl.h"

namespace broker::controller {
namespace {

security::AclBinding to_binding(const protocol::CreateAclsRequest::AclCreation& creation) {
  security::AclBinding binding;
  binding.resource.type = static_cast<security::ResourceType>(creation.resource_type);
  binding.resource.name = creation.resource_name;
  binding.resource.pattern = static_cast<security::PatternType>(creation.resource_pattern_type);
  binding.principal = creation.principal;
  binding.host = creation.host;
  binding.operation = static_cast<security::AclOperation>(creation.operation);
  binding.permission = static_cast<security::AclPermission>(creation.permission_type);
  return binding;
}

protocol::AccessControlEntryRecord to_record(const Uuid& id, const security::AclBinding& binding) {
  protocol::AccessControlEntryRecord record;
  record.id = id;
  record.resource_type = static_cast<std::int8_t>(binding.resource.type);
  record.resource_name = binding.resource.name;
  record.pattern_type = static_cast<std::int8_t>(binding.resource.pattern);
  record.principal = binding.principal;
  record.host = binding.host;
  record.operation = static_cast<std::int8_t>(binding.operation);
  record.permission_type = static_cast<std::int8_t>(binding.permission);
  return record;
}

security::AclFilter to_filter(const protocol::DeleteAclsRequest::DeleteAclsFilter& from) {
  security::AclFilter filter;
  filter.type = static_cast<security::ResourceType>(from.resource_type_filter);
  filter.name = from.resource_name_filter;
  filter.pattern = static_cast<security::PatternType>(from.pattern_type_filter);
  filter.principal = from.principal_filter;
  filter.host = from.host_filter;
  filter.operation = static_cast<security::AclOperation>(from.operation);
  filter.permission = static_cast<security::AclPermission>(from.permission_type);
  return filter;
}

protocol::DeleteAclsResponse::DeleteAclsMatchingAcl to_match(const security::AclBinding& binding) {
  protocol::DeleteAclsResponse::DeleteAclsMatchingAcl match;
  match.error_message = std::nullopt;
  match.resource_type = static_cast<std::int8_t>(binding.resource.type);
  match.resource_name = binding.resource.name;
  match.pattern_type = static_cast<std::int8_t>(binding.resource.pattern);
  match.principal = binding.principal;
  match.host = binding.host;
  match.operation = static_cast<std::int8_t>(binding.operation);
  match.permission_type = static_cast<std::int8_t>(binding.permission);
  return match;
}

}  // namespace

ControllerResult<protocol::CreateAclsResponse> decide(const DecideContext& context,
                                                      const protocol::CreateAclsRequest& request) {
  std::set<security::AclBinding> existing;
  for (const auto& [id, binding] : context.image.acls.by_id) existing.insert(binding);
  ControllerResult<protocol::CreateAclsResponse> out;
  for (const auto& creation : request.creations) {
    protocol::CreateAclsResponse::AclCreationResult result;
    result.error_message = std::nullopt;
    security::AclBinding binding = to_binding(creation);
    if (const auto valid = security::validate(binding); !valid.ok()) {
      result.error_code = static_cast<std::int16_t>(valid.code());
      result.error_message = valid.error().detail;
    } else if (existing.insert(binding).second) {
      Uuid id = Uuid::random(context.rng);
      while (context.image.acls.by_id.contains(id)) id = Uuid::random(context.rng);
      out.records.emplace_back(to_record(id, binding));
    }
    out.response.results.push_back(std::move(result));
  }
  return out;
}

ControllerResult<protocol::DeleteAclsResponse> decide(const DecideContext& context,
                                                      const protocol::DeleteAclsRequest& request) {
  ControllerResult<protocol::DeleteAclsResponse> out;
  std::set<Uuid> removed;  // two filters may find the same
  for (const auto& wanted : request.filters) {
    protocol::DeleteAclsResponse::DeleteAclsFilterResult result;
    result.error_message = std::nullopt;
    const security::AclFilter filter = to_filter(wanted);
    if (const auto valid = security::validate(filter); !valid.ok()) {
      result.error_code = static_cast<std::int16_t>(valid.code());
      result.error_message = valid.error().detail;
      out.response.filter_results.push_back(std::move(result));
      continue;
    }
    for (const auto& [id, binding] : context.image.acls.by_id) {
      if (!security::matches(filter, binding)) continue;
      result.matching_acls.push_back(to_match(binding));
      if (!removed.insert(id).second) continue;
      protocol::RemoveAccessControlEntryRecord record;
      record.id = id;
      out.records.emplace_back(record);
    }
    out.response.filter_results.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
