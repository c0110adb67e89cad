#include "operator/controllers/acl_controller.h"

#include <nlohmann/json.hpp>

#include "operator/api/acl.h"
#include "operator/api/json.h"
#include "operator/api/user.h"
#include "operator/api/validate.h"
#include "operator/controllers/kafka_resource.h"
#include "operator/plan/acl_plan.h"

namespace op::controllers {
namespace {

using broker::security::AclBinding;
using nlohmann::json;
using reconcile::WorkKey;

/// nullopt: the User that is referred to does not exist, or belongs to another cluster.
std::optional<std::string> principal_of(const Context& context, const api::Acl& acl) {
  if (acl.spec.principal) return acl.spec.principal;
  if (!acl.spec.user_ref) return std::nullopt;
  const auto object = context.store.get(kube::kUser, {acl.metadata.namespace_, *acl.spec.user_ref});
  if (!object || object->deleting) return std::nullopt;
  const auto user = api::parse_user(json::parse(object->json, nullptr, false));
  if (!user.ok() || user->spec.cluster_ref != acl.spec.cluster_ref) return std::nullopt;
  return user->principal();
}

/// What other ACL resources of this cluster own for the same principals: a binding granted twice
/// goes only with its last owner.
std::set<AclBinding> granted_by_others(const Context& context, const api::Acl& acl,
                                       const std::optional<std::string>& principal) {
  std::set<AclBinding> bindings;
  std::set<std::string> principals;
  if (principal) principals.insert(*principal);
  if (!acl.status.principal.empty()) principals.insert(acl.status.principal);
  for (const std::string& name : principals) {
    for (const Claim& claim : context.index.acls_of_principal(acl.spec.cluster_ref, name)) {
      if (claim.uid == acl.metadata.uid || claim.deleting) continue;
      const auto object = context.store.get(kube::kAcl, claim.key);
      if (!object) continue;
      const auto other = api::parse_acl(json::parse(object->json, nullptr, false));
      if (!other.ok()) continue;
      bindings.insert(other->status.bindings.begin(), other->status.bindings.end());
    }
  }
  return bindings;
}

Outcome apply_plan(const Context& context, const kube::Object& object, const WorkKey& key,
                   const plan::AclPlan& plan, Target& target) {
  if (plan.create.empty() && plan.remove.empty()) {
    context.operations.settle(key);
    const auto dropped = drop_finalizer(context, object, plan);
    return dropped.ok() ? Outcome::done() : Outcome::failed(dropped.error());
  }
  if (auto wait = wait_for_operations(context, key, object.generation)) return *wait;
  announce(context, object, plan);
  std::vector<AdminBatcher::Done> dones;  // all begun before the first answer can come
  for (std::size_t i = 0; i < plan.create.size() + plan.remove.size(); ++i) {
    dones.push_back(context.operations.begin(key, object.generation));
  }
  auto done = dones.begin();
  for (const AclBinding& binding : plan.create) target.handle->admin().create_acl(binding, *done++);
  for (const AclBinding& binding : plan.remove) target.handle->admin().delete_acl(binding, *done++);
  return Outcome::done();
}

}  // namespace

Outcome AclController::reconcile(const ObjectKey& object_key) {
  const WorkKey key{std::string(kind().kind), object_key};
  const auto object = context_.store.get(kind(), object_key);
  if (!object) {
    context_.operations.settle(key);
    return Outcome::done();
  }
  const auto acl =
      api::parse_acl(json::parse(object->json, nullptr, false), context_.settings.unknown_fields);
  if (!acl.ok()) return report_unreadable(context_, *object, acl.error().detail);

  Target target = gather_target(context_, acl->spec.cluster_ref);
  if (auto outcome = settle_without_kafka(context_, *object, *acl, target)) return *outcome;

  const auto principal = principal_of(context_, *acl);
  const auto others = granted_by_others(context_, *acl, principal);
  std::optional<plan::Verdict> not_admitted;
  if (principal) {
    not_admitted = plan::admit_bindings(target.tenancy(context_, object_key.ns),
                                        plan::expand_acl(acl->spec, *principal));
  }
  const plan::AclInput input{.acl = *acl,
                             .principal = principal,
                             .cluster_id = target.cluster_id,
                             .image = *target.image,
                             .granted_by_others = others,
                             .acknowledged_cluster_id = target.acknowledged_cluster_id,
                             .not_admitted = not_admitted,
                             .now = context_.timestamp()};
  const plan::AclPlan plan = plan_with_refusal(
      context_, key, object->generation, input, &plan::plan_acl,
      [](const plan::AclPlan& p) { return p.create.empty() && p.remove.empty(); });
  const auto recorded =
      record_plan(context_, *object, *acl, plan, !plan.create.empty() || !plan.remove.empty());
  if (!recorded.ok()) return Outcome::failed(recorded.error());
  return apply_plan(context_, *object, key, plan, target);
}

}  // namespace op::controllers
