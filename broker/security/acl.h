#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "broker/common/result.h"
#include "broker/security/types.h"

namespace broker::security {

/// One rule: `principal` ("User:alice" or "User:*") from `host` (address text or "*") may or may
/// not do `operation` on `resource`. Equal bindings are the same rule.
struct AclBinding {
  Resource resource;
  std::string principal;
  std::string host = "*";
  AclOperation operation = AclOperation::kUnknown;
  AclPermission permission = AclPermission::kUnknown;

  auto operator<=>(const AclBinding&) const = default;
};

/// "ALLOW User:alice from * to READ on TOPIC LITERAL orders", for logs.
std::string to_string(const AclBinding& binding);

/// What CreateAcls accepts: known enum values without filter-only ones, a non-empty resource name,
/// the one cluster name, a principal with a type. Errors: kInvalidRequest with the reason.
Result<void> validate(const AclBinding& binding);

/// The filter of DescribeAcls and DeleteAcls. Absent fields and kAny match everything.
struct AclFilter {
  ResourceType type = ResourceType::kAny;
  std::optional<std::string> name;
  PatternType pattern = PatternType::kAny;
  std::optional<std::string> principal;
  std::optional<std::string> host;
  AclOperation operation = AclOperation::kAny;
  AclPermission permission = AclPermission::kAny;
};

/// kMatch with a name finds every pattern that applies to that name: the literal, "*" and prefixes.
bool matches(const AclFilter& filter, const AclBinding& binding);
/// Errors: kInvalidRequest when an enum value is unknown.
Result<void> validate(const AclFilter& filter);

/// The operations that make sense on a resource type, as Kafka lists them.
std::span<const AclOperation> supported_operations(ResourceType type);

}  // namespace broker::security
