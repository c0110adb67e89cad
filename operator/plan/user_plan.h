#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/metadata/image.h"
#include "broker/security/scram.h"
#include "operator/api/user.h"
#include "operator/plan/types.h"

namespace op::plan {

struct ScramUpsert {
  std::string username;
  broker::security::ScramMechanism mechanism;

  bool operator==(const ScramUpsert&) const = default;
};
struct ScramRemoval {
  std::string username;
  broker::security::ScramMechanism mechanism;

  bool operator==(const ScramRemoval&) const = default;
};

/// Limits of the user itself, whatever its client id; nullopt takes one away.
struct QuotaAlteration {
  std::string username;
  std::map<std::string, std::optional<double>> values;

  bool operator==(const QuotaAlteration&) const = default;
};

struct UserInput {
  const api::User& user;
  std::string cluster_id;
  const broker::metadata::MetadataImage& image;  // synced
  std::string acknowledged_cluster_id;
  /// The password to have: from passwordFrom or from our own Secret. nullopt with SCRAM: it cannot
  /// be had, and `password_problem` says why.
  std::optional<std::string> password;
  std::optional<Verdict> password_problem;
  std::optional<Verdict> not_admitted;
  std::optional<api::ObjectName> older;  // another User with this username
  bool has_listener = true;              // the cluster has a listener for this kind of user
  std::optional<Verdict> rejection;
  api::Timestamp now;
};

struct UserPlan {
  std::vector<ScramUpsert> upserts;
  std::vector<ScramRemoval> removals;
  std::vector<QuotaAlteration> quotas;  // at most one
  bool wants_secret = false;            // model::user_secret is to be applied
  api::UserStatus status;               // write it first
  bool wants_finalizer = false;
  std::optional<Verdict> event;

  bool acts() const { return !upserts.empty() || !removals.empty() || !quotas.empty(); }
};

/// Compares the password with the stored key under the image's own salt and iterations: some
/// milliseconds of PBKDF2 per call.
UserPlan plan_user(const UserInput& in);

broker::security::ScramMechanism mechanism_of(api::UserAuth type);
bool password_fits(const broker::security::ScramCredential& credential,
                   broker::security::ScramMechanism mechanism, const std::string& password);

}  // namespace op::plan
