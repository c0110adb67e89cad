#include "operator/controllers/user_controller.h"

#include <nlohmann/json.hpp>

#include "broker/metadata/image.h"
#include "operator/api/json.h"
#include "operator/api/user.h"
#include "operator/api/validate.h"
#include "operator/controllers/kafka_resource.h"
#include "operator/controllers/user_secret.h"
#include "operator/plan/acl_plan.h"
#include "operator/plan/user_plan.h"

namespace op::controllers {
namespace {

using broker::security::AclBinding;
using nlohmann::json;
using reconcile::WorkKey;

/// A Secret that passwordFrom names is not watched (it is not ours): it is looked at this often.
constexpr std::chrono::seconds kLookAtForeignSecret{30};
constexpr std::chrono::hours kRenewCheck{1};  // certificates may live shorter than a resync is far

std::optional<api::ObjectName> older_claim(const Context& context, const api::User& user) {
  for (const Claim& claim :
       context.index.claims(kube::kUser, user.spec.cluster_ref, user.spec.username)) {
    if (claim.uid == user.metadata.uid) return std::nullopt;
    if (!claim.deleting) return api::ObjectName{claim.key.ns, claim.key.name};
  }
  return std::nullopt;
}

/// Bindings of the principal that ACL resources of the user's own namespace declared.
std::set<AclBinding> own_bindings(const Context& context, const api::User& user) {
  std::set<AclBinding> own;
  for (const Claim& claim :
       context.index.acls_of_principal(user.spec.cluster_ref, user.principal())) {
    if (claim.key.ns != user.metadata.namespace_) continue;
    const auto object = context.store.get(kube::kAcl, claim.key);
    if (!object) continue;
    const auto acl = api::parse_acl(json::parse(object->json, nullptr, false));
    if (acl.ok()) own.insert(acl->status.bindings.begin(), acl->status.bindings.end());
  }
  return own;
}

std::optional<plan::Verdict> admission(const Context& context, const api::User& user,
                                       const Target& target) {
  // What this resource wrote itself is not "taken".
  const bool established =
      user.status.username == user.spec.username && user.status.cluster_id == target.cluster_id;
  const bool taken = !established && plan::principal_is_taken(*target.image, user.spec.username,
                                                              own_bindings(context, user));
  return plan::admit_user(target.tenancy(context, user.metadata.namespace_), user.spec.username,
                          taken);
}

broker::Result<kafka::ScramChange> upsert(const plan::ScramUpsert& wanted,
                                          const std::string& password) {
  kafka::ScramChange change;
  change.username = wanted.username;
  change.mechanism = wanted.mechanism;
  change.iterations = broker::security::kScramMinIterations;
  change.salt = broker::security::random_bytes(32);
  ASSIGN_OR_RETURN(change.salted_password,
                   broker::security::scram_salted_password(wanted.mechanism, password, change.salt,
                                                           change.iterations));
  return change;
}

Outcome apply_plan(const Context& context, const kube::Object& object, const WorkKey& key,
                   const plan::UserPlan& plan, const UserMaterial& material, Target& target) {
  if (!plan.acts()) {
    context.operations.settle(key);
    const auto dropped = drop_finalizer(context, object, plan);
    return dropped.ok() ? Outcome::done() : Outcome::failed(dropped.error());
  }
  if (auto wait = wait_for_operations(context, key, object.generation)) return *wait;
  announce(context, object, plan);
  std::vector<kafka::ScramChange> changes;
  for (const plan::ScramRemoval& removal : plan.removals) {
    changes.push_back(
        {.username = removal.username, .mechanism = removal.mechanism, .remove = true});
  }
  for (const plan::ScramUpsert& wanted : plan.upserts) {
    auto change = upsert(wanted, material.password.value_or(""));
    if (!change.ok()) return Outcome::failed(change.error());
    changes.push_back(std::move(*change));
  }
  std::vector<AdminBatcher::Done> dones;  // all begun before the first answer can come
  for (std::size_t i = 0; i < changes.size() + plan.quotas.size(); ++i) {
    dones.push_back(context.operations.begin(key, object.generation));
  }
  for (std::size_t i = 0; i < changes.size(); ++i) {
    target.handle->admin().alter_scram(std::move(changes[i]), dones[i]);
  }
  for (std::size_t i = 0; i < plan.quotas.size(); ++i) {
    const plan::QuotaAlteration& wanted = plan.quotas[i];
    target.handle->admin().alter_quotas({wanted.username, wanted.values},
                                        dones[changes.size() + i]);
  }
  return Outcome::done();
}

}  // namespace

Outcome UserController::reconcile(const ObjectKey& object_key) {
  const WorkKey key{std::string(kind().kind), object_key};
  const auto object = context_.store.get(kind(), object_key);
  if (!object) {
    context_.operations.settle(key);
    return Outcome::done();
  }
  const auto user =
      api::parse_user(json::parse(object->json, nullptr, false), context_.settings.unknown_fields);
  if (!user.ok()) return report_unreadable(context_, *object, user.error().detail);

  Target target = gather_target(context_, user->spec.cluster_ref);
  if (auto outcome = settle_without_kafka(context_, *object, *user, target)) return *outcome;

  const UserMaterial material = gather_user_material(context_, *user, target);
  if (material.conflict && !user->metadata.is_deleting()) {
    const auto written = refuse(context_, *object, user->status, *material.conflict);
    return written.ok() ? Outcome::again(kLookAtForeignSecret) : Outcome::failed(written.error());
  }
  const plan::UserInput input{.user = *user,
                              .cluster_id = target.cluster_id,
                              .image = *target.image,
                              .acknowledged_cluster_id = target.acknowledged_cluster_id,
                              .password = material.password,
                              .password_problem = material.password_problem,
                              .not_admitted = admission(context_, *user, target),
                              .older = older_claim(context_, *user),
                              .has_listener = !material.listeners.empty(),
                              .now = context_.timestamp()};
  plan::UserPlan plan =
      plan_with_refusal(context_, key, object->generation, input, &plan::plan_user,
                        [](const plan::UserPlan& p) { return !p.acts(); });
  // The Secret before the credential and before Ready: a password that Kafka knows and no Secret
  // holds would be lost with this process.
  WrittenSecret secret;
  if (plan.wants_secret) {
    auto written = ensure_user_secret(context_, *user, target, material);
    if (!written.ok()) return Outcome::failed(written.error());
    secret = *written;
    plan.status.certificate_expires = secret.certificate_expires;
  }
  const auto recorded = record_plan(context_, *object, *user, plan, plan.acts());
  if (!recorded.ok()) return Outcome::failed(recorded.error());
  Outcome outcome = apply_plan(context_, *object, key, plan, material, target);
  if (!outcome.error && !outcome.again_after && user->spec.authentication.password_from) {
    outcome.again_after = kLookAtForeignSecret;
  }
  if (!outcome.error && !outcome.again_after && secret.renew_at != 0) {
    const auto left = std::chrono::milliseconds(secret.renew_at - context_.wall_now());
    outcome.again_after = std::clamp<broker::Duration>(left, std::chrono::seconds(1), kRenewCheck);
  }
  return outcome;
}

}  // namespace op::controllers
