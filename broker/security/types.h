#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "broker/common/result.h"
#include "broker/common/security_protocol.h"

namespace broker::security {

using broker::parse_security_protocol;
using broker::SecurityProtocol;
using broker::to_string;
using broker::uses_sasl;
using broker::uses_tls;

/// Who speaks. The text form is "User:alice"; names are compared exactly.
struct Principal {
  std::string type = "User";
  std::string name = "ANONYMOUS";

  auto operator<=>(const Principal&) const = default;
};

std::string to_string(const Principal& principal);
/// "User:alice"; the name may contain colons. Errors: kInvalidRequest without a type or a colon.
Result<Principal> parse_principal(std::string_view text);

enum class ResourceType : std::int8_t {
  kUnknown = 0,
  kAny = 1,  // filters only
  kTopic = 2,
  kGroup = 3,
  kCluster = 4,
  kTransactionalId = 5,
  kDelegationToken = 6,
  kUser = 7,
};

enum class PatternType : std::int8_t {
  kUnknown = 0,
  kAny = 1,    // filters only
  kMatch = 2,  // filters only: every pattern that applies to the name
  kLiteral = 3,
  kPrefixed = 4,
};

enum class AclOperation : std::int8_t {
  kUnknown = 0,
  kAny = 1,  // filters only
  kAll = 2,
  kRead = 3,
  kWrite = 4,
  kCreate = 5,
  kDelete = 6,
  kAlter = 7,
  kDescribe = 8,
  kClusterAction = 9,
  kDescribeConfigs = 10,
  kAlterConfigs = 11,
  kIdempotentWrite = 12,
  kCreateTokens = 13,
  kDescribeTokens = 14,
  kTwoPhaseCommit = 15,
};

enum class AclPermission : std::int8_t {
  kUnknown = 0,
  kAny = 1,  // filters only
  kDeny = 2,
  kAllow = 3,
};

/// Kafka's upper-case names, e.g. "TRANSACTIONAL_ID", "PREFIXED", "DESCRIBE_CONFIGS", "ALLOW".
std::string_view to_string(ResourceType type);
std::string_view to_string(PatternType type);
std::string_view to_string(AclOperation operation);
std::string_view to_string(AclPermission permission);

/// What is asked for, or the pattern of an ACL. The only cluster is named kClusterName.
struct Resource {
  ResourceType type = ResourceType::kUnknown;
  std::string name;
  PatternType pattern = PatternType::kLiteral;

  auto operator<=>(const Resource&) const = default;
};

inline constexpr std::string_view kClusterName = "kafka-cluster";
inline constexpr std::string_view kWildcard = "*";

inline Resource topic_resource(std::string name) {
  return {ResourceType::kTopic, std::move(name), PatternType::kLiteral};
}
inline Resource group_resource(std::string name) {
  return {ResourceType::kGroup, std::move(name), PatternType::kLiteral};
}
inline Resource transactional_id_resource(std::string name) {
  return {ResourceType::kTransactionalId, std::move(name), PatternType::kLiteral};
}
inline Resource cluster_resource() {
  return {ResourceType::kCluster, std::string(kClusterName), PatternType::kLiteral};
}

}  // namespace broker::security
