#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"

namespace op::api {

enum class UserAuth { kScramSha256, kScramSha512, kMtls };

struct UserAuthentication {
  UserAuth type = UserAuth::kScramSha512;
  std::optional<KeyRef> password_from;  // SCRAM only; absent: a password is generated

  bool operator==(const UserAuthentication&) const = default;
};

struct UserQuotas {
  std::optional<std::int64_t> producer_byte_rate;
  std::optional<std::int64_t> consumer_byte_rate;
  std::optional<double> request_percentage;
  std::optional<double> controller_mutation_rate;

  bool operator==(const UserQuotas&) const = default;
};

struct UserSpec {
  ClusterRef cluster_ref;
  std::string username;  // defaults to metadata.name
  UserAuthentication authentication;
  std::string secret_name;  // defaults to metadata.name
  std::optional<UserQuotas> quotas;

  bool operator==(const UserSpec&) const = default;
};

struct UserStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  std::string username;
  std::string secret_name;
  std::string mechanism;                  // of the credential we wrote; empty for Mtls
  std::vector<std::string> owned_quotas;  // Kafka's keys of the limits that we wrote
  std::optional<Timestamp> certificate_expires;

  bool operator==(const UserStatus&) const = default;
};

struct User {
  static constexpr std::string_view kKind = "User";
  static constexpr std::string_view kPlural = "users";
  using Status = UserStatus;

  ObjectMeta metadata;
  UserSpec spec;
  UserStatus status;

  bool operator==(const User&) const = default;
  /// "User:<username>", with either kind of authentication: a users CA certificate carries the
  /// username as its CN and listeners map it to that.
  std::string principal() const { return "User:" + spec.username; }
};

}  // namespace op::api
