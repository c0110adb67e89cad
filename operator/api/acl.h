#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/security/acl.h"
#include "operator/api/meta.h"

namespace op::api {

/// A name, or all names that begin with it.
struct NamePattern {
  std::string name;
  broker::security::PatternType pattern = broker::security::PatternType::kLiteral;

  auto operator<=>(const NamePattern&) const = default;
};

enum class AclRoleType { kProducer, kConsumer, kStreams };

/// A task that needs several rules; plan/acl_plan.h says which.
struct AclRole {
  AclRoleType type = AclRoleType::kProducer;
  std::vector<NamePattern> topics;
  std::optional<NamePattern> group;             // kConsumer
  std::optional<NamePattern> transactional_id;  // kProducer
  std::string application_id;                   // kStreams

  bool operator==(const AclRole&) const = default;
};

struct AclRule {
  broker::security::Resource resource;
  std::vector<broker::security::AclOperation> operations;
  std::string host = "*";
  broker::security::AclPermission effect = broker::security::AclPermission::kAllow;

  bool operator==(const AclRule&) const = default;
};

struct AclSpec {
  ClusterRef cluster_ref;
  std::optional<std::string> user_ref;   // a User in the same namespace
  std::optional<std::string> principal;  // "User:…"; exactly one of the two
  std::vector<AclRole> roles;
  std::vector<AclRule> rules;

  bool operator==(const AclSpec&) const = default;
};

struct AclStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  std::string principal;
  std::vector<broker::security::AclBinding> bindings;  // owned: removed with the resource

  bool operator==(const AclStatus&) const = default;
};

struct Acl {
  static constexpr std::string_view kKind = "ACL";
  static constexpr std::string_view kPlural = "acls";
  using Status = AclStatus;

  ObjectMeta metadata;
  AclSpec spec;
  AclStatus status;

  bool operator==(const Acl&) const = default;
};

}  // namespace op::api
