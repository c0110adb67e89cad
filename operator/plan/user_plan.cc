#include "operator/plan/user_plan.h"

#include <set>

#include "broker/metadata/client_quotas.h"
#include "operator/api/validate.h"
#include "operator/plan/common.h"

namespace op::plan {

using broker::metadata::quota_key;
using broker::metadata::QuotaKind;
using broker::security::ScramMechanism;

namespace {

namespace reason = api::reason;

void set_blocked(UserPlan& plan, const UserInput& in, const Verdict& verdict) {
  if (detail::is_news(plan.status.conditions, verdict)) plan.event = verdict;
  set_ready(plan.status.conditions, false, verdict, in.user.metadata.generation, in.now);
}

std::optional<Verdict> first_obstacle(const UserInput& in) {
  if (const auto errors = api::validate(in.user); !errors.empty())
    return Verdict{errors.front().reason, api::to_string(errors)};
  if (in.not_admitted) return in.not_admitted;
  if (in.older)
    return Verdict{reason::kConflict,
                   "User " + to_string(*in.older) + " is older and declares the same user"};
  return detail::cluster_id_changed(in.user.status.cluster_id, in.cluster_id,
                                    in.acknowledged_cluster_id, in.user.metadata);
}

/// The credential that an earlier state of this resource wrote and that is no longer wanted.
void remove_written(UserPlan& plan, const UserInput& in, ScramMechanism keep) {
  const api::UserStatus& written = in.user.status;
  const ScramMechanism mechanism = broker::security::parse_scram_mechanism(written.mechanism);
  if (mechanism == ScramMechanism::kUnknown || mechanism == keep ||
      written.cluster_id != in.cluster_id)
    return;
  if (in.image.scram.find(written.username, mechanism))
    plan.removals.push_back({written.username, mechanism});
}

std::map<std::string, double> wanted_quotas(const api::User& user) {
  std::map<std::string, double> wanted;
  if (!user.spec.quotas || user.metadata.is_deleting()) return wanted;
  const api::UserQuotas& quotas = *user.spec.quotas;
  const auto want = [&](QuotaKind kind, const auto& value) {
    if (value) wanted[std::string(quota_key(kind))] = static_cast<double>(*value);
  };
  want(QuotaKind::kProduce, quotas.producer_byte_rate);
  want(QuotaKind::kFetch, quotas.consumer_byte_rate);
  want(QuotaKind::kRequest, quotas.request_percentage);
  want(QuotaKind::kControllerMutation, quotas.controller_mutation_rate);
  return wanted;
}

/// What is declared is put right; what was declared once and is not any more goes. Limits that
/// somebody else set on the user stay.
void plan_quotas(UserPlan& plan, const UserInput& in) {
  const std::string& username = in.user.spec.username;
  const api::UserStatus& written = in.user.status;
  const auto* found =
      in.image.client_quotas.by_entity.find(broker::metadata::QuotaEntity{{"user", username}});
  const std::map<std::string, double> now = found ? *found : std::map<std::string, double>();
  const std::map<std::string, double> wanted = wanted_quotas(in.user);
  QuotaAlteration change{username, {}};
  std::set<std::string> ours;
  for (const auto& [key, value] : wanted) {
    ours.insert(key);
    const auto have = now.find(key);
    if (have == now.end() || have->second != value) change.values[key] = value;
  }
  if (written.cluster_id == in.cluster_id && written.username == username) {
    for (const std::string& key : written.owned_quotas) {
      if (wanted.contains(key) || !now.contains(key)) continue;
      ours.insert(key);  // until it is gone
      change.values[key] = std::nullopt;
    }
  }
  plan.status.owned_quotas = {ours.begin(), ours.end()};
  if (!change.values.empty()) plan.quotas.push_back(std::move(change));
}

UserPlan plan_deletion(const UserInput& in) {
  UserPlan plan;
  plan.status = in.user.status;
  if (!in.user.metadata.has_finalizer(api::kFinalizer) || in.older) return plan;
  remove_written(plan, in, ScramMechanism::kUnknown);
  plan_quotas(plan, in);
  if (!plan.acts()) return plan;
  plan.wants_finalizer = true;
  set_blocked(plan, in,
              in.rejection.value_or(Verdict{
                  reason::kDeleting, (plan.removals.empty() ? "removing the quotas of "
                                                            : "removing the credential of ") +
                                         in.user.status.username}));
  return plan;
}

void plan_scram(UserPlan& plan, const UserInput& in, ScramMechanism mechanism) {
  const std::string& username = in.user.spec.username;
  const auto* credential = in.image.scram.find(username, mechanism);
  if (!credential || !password_fits(*credential, mechanism, *in.password))
    plan.upserts.push_back({username, mechanism});
}

void judge(UserPlan& plan, const UserInput& in) {
  const std::int64_t generation = in.user.metadata.generation;
  auto& conditions = plan.status.conditions;
  const bool acts = plan.acts();
  if (acts && in.rejection) return set_blocked(plan, in, *in.rejection);
  if (!in.has_listener)
    return set_blocked(plan, in,
                       {reason::kNoMatchingListener,
                        "no listener of the cluster accepts this type of authentication"});
  if (!acts) {
    set_ready(conditions, true,
              {reason::kReady, "Secret " + in.user.spec.secret_name + " holds what a client needs"},
              generation, in.now);
    return;
  }
  const bool credential = !plan.upserts.empty() || !plan.removals.empty();
  const Verdict doing{reason::kApplying,
                      (credential ? "writing the credential of " : "writing the quotas of ") +
                          in.user.spec.username};
  plan.event = doing;
  const api::Condition* ready = api::find_condition(conditions, api::condition::kReady);
  if (is_ready(conditions) && ready->observed_generation == generation) return;  // drift
  set_ready(conditions, false, doing, generation, in.now);
}

}  // namespace

ScramMechanism mechanism_of(api::UserAuth type) {
  switch (type) {
    case api::UserAuth::kScramSha256:
      return ScramMechanism::kSha256;
    case api::UserAuth::kScramSha512:
      return ScramMechanism::kSha512;
    case api::UserAuth::kMtls:
      return ScramMechanism::kUnknown;
  }
  return ScramMechanism::kUnknown;
}

bool password_fits(const broker::security::ScramCredential& credential, ScramMechanism mechanism,
                   const std::string& password) {
  const auto salted = broker::security::scram_salted_password(mechanism, password, credential.salt,
                                                              credential.iterations);
  if (!salted.ok()) return false;
  const auto expected = broker::security::scram_credential_from_salted(
      mechanism, *salted, credential.salt, credential.iterations);
  return expected.ok() &&
         broker::security::equal_in_constant_time(expected->stored_key, credential.stored_key);
}

UserPlan plan_user(const UserInput& in) {
  const api::User& user = in.user;
  UserPlan plan;
  plan.status = user.status;
  plan.wants_finalizer = user.metadata.has_finalizer(api::kFinalizer);
  if (user.metadata.is_paused()) return plan;
  if (user.metadata.is_deleting()) return plan_deletion(in);

  plan.wants_finalizer = true;
  detail::begin_status(plan.status, user.metadata);
  if (const auto obstacle = first_obstacle(in)) {
    set_blocked(plan, in, *obstacle);
    return plan;
  }
  const ScramMechanism mechanism = mechanism_of(user.spec.authentication.type);
  if (mechanism != ScramMechanism::kUnknown && !in.password) {
    set_blocked(plan, in,
                in.password_problem.value_or(
                    Verdict{reason::kSecretNotFound, "the password cannot be read"}));
    return plan;
  }
  remove_written(plan, in, mechanism);
  if (mechanism != ScramMechanism::kUnknown) {
    plan_scram(plan, in, mechanism);
    plan.status.certificate_expires.reset();
  }
  plan_quotas(plan, in);
  plan.status.cluster_id = in.cluster_id;
  plan.status.username = user.spec.username;
  plan.status.secret_name = user.spec.secret_name;
  // The old mechanism stays named until its credential is gone: it is ours to remove.
  if (plan.removals.empty())
    plan.status.mechanism =
        mechanism == ScramMechanism::kUnknown ? "" : std::string(to_string(mechanism));
  plan.wants_secret = true;
  judge(plan, in);
  return plan;
}

}  // namespace op::plan
