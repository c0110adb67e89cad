#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/cluster.h"

namespace op::api {

struct ExternalTls {
  std::optional<KeyRef> ca;  // absent: the system's trusted CAs

  bool operator==(const ExternalTls&) const = default;
};

enum class ExternalAuth { kNone, kScramSha256, kScramSha512, kPlain, kMtls };

struct ExternalAuthentication {
  ExternalAuth type = ExternalAuth::kNone;
  std::string username;
  std::optional<KeyRef> password;
  std::string certificate_secret;  // kubernetes.io/tls, for kMtls

  bool operator==(const ExternalAuthentication&) const = default;
};

struct ExternalClusterSpec {
  std::string bootstrap_servers;
  std::optional<ExternalTls> tls;  // absent: plaintext
  ExternalAuthentication authentication;
  std::vector<TenantSpec> tenants;

  bool operator==(const ExternalClusterSpec&) const = default;
};

struct ExternalClusterStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  std::int32_t brokers = 0;

  bool operator==(const ExternalClusterStatus&) const = default;
};

struct ExternalCluster {
  static constexpr std::string_view kKind = "ExternalCluster";
  static constexpr std::string_view kPlural = "externalclusters";
  using Status = ExternalClusterStatus;

  ObjectMeta metadata;
  ExternalClusterSpec spec;
  ExternalClusterStatus status;

  bool operator==(const ExternalCluster&) const = default;
};

}  // namespace op::api
