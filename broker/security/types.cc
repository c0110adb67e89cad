#include "broker/security/types.h"

namespace broker::security {

std::string to_string(const Principal& principal) { return principal.type + ":" + principal.name; }

Result<Principal> parse_principal(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return Error{ErrorCode::kInvalidRequest,
                 "principal \"" + std::string(text) + "\" is not of the form Type:name"};
  return Principal{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::string_view to_string(ResourceType type) {
  switch (type) {
    case ResourceType::kUnknown:
      return "UNKNOWN";
    case ResourceType::kAny:
      return "ANY";
    case ResourceType::kTopic:
      return "TOPIC";
    case ResourceType::kGroup:
      return "GROUP";
    case ResourceType::kCluster:
      return "CLUSTER";
    case ResourceType::kTransactionalId:
      return "TRANSACTIONAL_ID";
    case ResourceType::kDelegationToken:
      return "DELEGATION_TOKEN";
    case ResourceType::kUser:
      return "USER";
  }
  return "UNKNOWN";
}

std::string_view to_string(PatternType type) {
  switch (type) {
    case PatternType::kUnknown:
      return "UNKNOWN";
    case PatternType::kAny:
      return "ANY";
    case PatternType::kMatch:
      return "MATCH";
    case PatternType::kLiteral:
      return "LITERAL";
    case PatternType::kPrefixed:
      return "PREFIXED";
  }
  return "UNKNOWN";
}

std::string_view to_string(AclOperation operation) {
  switch (operation) {
    case AclOperation::kUnknown:
      return "UNKNOWN";
    case AclOperation::kAny:
      return "ANY";
    case AclOperation::kAll:
      return "ALL";
    case AclOperation::kRead:
      return "READ";
    case AclOperation::kWrite:
      return "WRITE";
    case AclOperation::kCreate:
      return "CREATE";
    case AclOperation::kDelete:
      return "DELETE";
    case AclOperation::kAlter:
      return "ALTER";
    case AclOperation::kDescribe:
      return "DESCRIBE";
    case AclOperation::kClusterAction:
      return "CLUSTER_ACTION";
    case AclOperation::kDescribeConfigs:
      return "DESCRIBE_CONFIGS";
    case AclOperation::kAlterConfigs:
      return "ALTER_CONFIGS";
    case AclOperation::kIdempotentWrite:
      return "IDEMPOTENT_WRITE";
    case AclOperation::kCreateTokens:
      return "CREATE_TOKENS";
    case AclOperation::kDescribeTokens:
      return "DESCRIBE_TOKENS";
    case AclOperation::kTwoPhaseCommit:
      return "TWO_PHASE_COMMIT";
  }
  return "UNKNOWN";
}

std::string_view to_string(AclPermission permission) {
  switch (permission) {
    case AclPermission::kUnknown:
      return "UNKNOWN";
    case AclPermission::kAny:
      return "ANY";
    case AclPermission::kDeny:
      return "DENY";
    case AclPermission::kAllow:
      return "ALLOW";
  }
  return "UNKNOWN";
}

}  // namespace broker::security
