#include "broker/security/acl.h"

namespace broker::security {
namespace {

using enum AclOperation;

constexpr AclOperation kTopicOperations[] = {kRead,   kWrite, kCreate,          kDescribe,
                                             kDelete, kAlter, kDescribeConfigs, kAlterConfigs};
constexpr AclOperation kGroupOperations[] = {kRead, kDescribe, kDelete, kDescribeConfigs,
                                             kAlterConfigs};
constexpr AclOperation kClusterOperations[] = {
    kCreate, kClusterAction, kDescribeConfigs, kAlterConfigs, kIdempotentWrite, kAlter, kDescribe};
constexpr AclOperation kTransactionalIdOperations[] = {kDescribe, kWrite, kTwoPhaseCommit};
constexpr AclOperation kDelegationTokenOperations[] = {kDescribe};
constexpr AclOperation kUserOperations[] = {kCreateTokens, kDescribeTokens};

Error invalid(std::string detail) { return Error{ErrorCode::kInvalidRequest, std::move(detail)}; }

template <class Enum>
bool in_range(Enum value, Enum first, Enum last) {
  return value >= first && value <= last;
}

bool name_matches(const AclFilter& filter, const Resource& resource) {
  switch (filter.pattern) {
    case PatternType::kAny:
      return !filter.name || *filter.name == resource.name;
    case PatternType::kLiteral:
    case PatternType::kPrefixed:
      return filter.pattern == resource.pattern && (!filter.name || *filter.name == resource.name);
    case PatternType::kMatch:
      if (!filter.name) return true;
      if (resource.pattern == PatternType::kPrefixed)
        return filter.name->starts_with(resource.name);
      return resource.name == *filter.name || resource.name == kWildcard;
    case PatternType::kUnknown:
      return false;
  }
  return false;
}

}  // namespace

std::string to_string(const AclBinding& binding) {
  std::string text(to_string(binding.permission));
  text += " " + binding.principal + " from " + binding.host + " to ";
  text += to_string(binding.operation);
  text += " on ";
  text += to_string(binding.resource.type);
  text += " ";
  text += to_string(binding.resource.pattern);
  return text + " " + binding.resource.name;
}

Result<void> validate(const AclBinding& binding) {
  const Resource& resource = binding.resource;
  if (!in_range(resource.type, ResourceType::kTopic, ResourceType::kUser))
    return invalid("Invalid resource type");
  if (!in_range(resource.pattern, PatternType::kLiteral, PatternType::kPrefixed))
    return invalid("Invalid pattern type");
  if (!in_range(binding.operation, kAll, kTwoPhaseCommit)) return invalid("Invalid operation");
  if (!in_range(binding.permission, AclPermission::kDeny, AclPermission::kAllow))
    return invalid("Invalid permission type");
  if (resource.name.empty()) return invalid("Invalid empty resource name");
  if (resource.type == ResourceType::kCluster && resource.name != kClusterName)
    return invalid("The only valid name for the CLUSTER resource is kafka-cluster");
  if (binding.host.empty()) return invalid("Invalid empty host");
  if (auto principal = parse_principal(binding.principal); !principal) return principal.error();
  return {};
}

bool matches(const AclFilter& filter, const AclBinding& binding) {
  return (filter.type == ResourceType::kAny || filter.type == binding.resource.type) &&
         (filter.operation == kAny || filter.operation == binding.operation) &&
         (filter.permission == AclPermission::kAny || filter.permission == binding.permission) &&
         (!filter.principal || *filter.principal == binding.principal) &&
         (!filter.host || *filter.host == binding.host) && name_matches(filter, binding.resource);
}

Result<void> validate(const AclFilter& filter) {
  if (!in_range(filter.type, ResourceType::kAny, ResourceType::kUser))
    return invalid("Unknown resource type in filter");
  if (!in_range(filter.pattern, PatternType::kAny, PatternType::kPrefixed))
    return invalid("Unknown pattern type in filter");
  if (!in_range(filter.operation, kAny, kTwoPhaseCommit))
    return invalid("Unknown operation in filter");
  if (!in_range(filter.permission, AclPermission::kAny, AclPermission::kAllow))
    return invalid("Unknown permission type in filter");
  return {};
}

std::span<const AclOperation> supported_operations(ResourceType type) {
  switch (type) {
    case ResourceType::kTopic:
      return kTopicOperations;
    case ResourceType::kGroup:
      return kGroupOperations;
    case ResourceType::kCluster:
      return kClusterOperations;
    case ResourceType::kTransactionalId:
      return kTransactionalIdOperations;
    case ResourceType::kDelegationToken:
      return kDelegationTokenOperations;
    case ResourceType::kUser:
      return kUserOperations;
    case ResourceType::kUnknown:
    case ResourceType::kAny:
      return {};
  }
  return {};
}

}  // namespace broker::security
