#include "operator/plan/acl_plan.h"

#include <algorithm>

#include "operator/api/validate.h"
#include "operator/plan/common.h"

namespace op::plan {

using broker::security::AclOperation;
using broker::security::AclPermission;
using broker::security::PatternType;
using broker::security::Resource;
using broker::security::ResourceType;

namespace {

namespace reason = api::reason;

class Expansion {
 public:
  explicit Expansion(const std::string& principal) : principal_(principal) {}

  void grant(ResourceType type, const api::NamePattern& pattern,
             std::initializer_list<AclOperation> operations) {
    for (AclOperation operation : operations)
      bindings_.insert({Resource{type, pattern.name, pattern.pattern}, principal_, "*", operation,
                        AclPermission::kAllow});
  }
  void add(const api::AclRule& rule) {
    for (AclOperation operation : rule.operations)
      bindings_.insert({rule.resource, principal_, rule.host, operation, rule.effect});
  }
  std::vector<AclBinding> take() const { return {bindings_.begin(), bindings_.end()}; }

 private:
  std::string principal_;
  std::set<AclBinding> bindings_;
};

void expand_streams(const api::AclRole& role, Expansion& out) {
  using enum AclOperation;
  const api::NamePattern own{role.application_id, PatternType::kPrefixed};
  out.grant(ResourceType::kGroup, own, {kRead, kDescribe, kDelete});
  // Repartition and changelog topics: the application makes, empties and removes them itself.
  out.grant(ResourceType::kTopic, own,
            {kRead, kWrite, kCreate, kDelete, kDescribe, kDescribeConfigs, kAlterConfigs});
  out.grant(ResourceType::kTransactionalId, own, {kWrite, kDescribe});
  for (const api::NamePattern& topic : role.topics)
    out.grant(ResourceType::kTopic, topic, {kRead, kWrite, kDescribe});
}

void expand_role(const api::AclRole& role, Expansion& out) {
  using enum AclOperation;
  switch (role.type) {
    case api::AclRoleType::kProducer:
      for (const api::NamePattern& topic : role.topics)
        out.grant(ResourceType::kTopic, topic, {kWrite, kDescribe, kCreate});
      if (role.transactional_id)
        out.grant(ResourceType::kTransactionalId, *role.transactional_id, {kWrite, kDescribe});
      break;
    case api::AclRoleType::kConsumer:
      for (const api::NamePattern& topic : role.topics)
        out.grant(ResourceType::kTopic, topic, {kRead, kDescribe});
      if (role.group) out.grant(ResourceType::kGroup, *role.group, {kRead, kDescribe});
      break;
    case api::AclRoleType::kStreams:
      expand_streams(role, out);
      break;
  }
}

/// What the image holds for the principals concerned: with a thousand ACL resources the whole set
/// would be sorted a thousand times.
std::set<AclBinding> relevant_bindings(const AclInput& in) {
  std::set<std::string> principals;
  if (in.principal) principals.insert(*in.principal);
  for (const AclBinding& owned : in.acl.status.bindings) principals.insert(owned.principal);
  std::set<AclBinding> out;
  for (const auto& [id, binding] : in.image.acls.by_id)
    if (principals.contains(binding.principal)) out.insert(binding);
  return out;
}

/// What the resource owns and should no longer: gone with its last owner.
std::vector<AclBinding> to_remove(const AclInput& in, const std::set<AclBinding>& desired,
                                  const std::set<AclBinding>& actual) {
  std::vector<AclBinding> out;
  for (const AclBinding& owned : in.acl.status.bindings) {
    if (!desired.contains(owned) && actual.contains(owned) && !in.granted_by_others.contains(owned))
      out.push_back(owned);
  }
  return out;
}

std::optional<Verdict> first_obstacle(const AclInput& in) {
  if (const auto errors = api::validate(in.acl); !errors.empty())
    return Verdict{errors.front().reason, api::to_string(errors)};
  if (!in.principal)
    return Verdict{reason::kUserNotFound,
                   "there is no User " + in.acl.spec.user_ref.value_or("") + " in this namespace"};
  if (in.not_admitted) return in.not_admitted;
  return detail::cluster_id_changed(in.acl.status.cluster_id, in.cluster_id,
                                    in.acknowledged_cluster_id, in.acl.metadata);
}

void set_blocked(AclPlan& plan, const AclInput& in, const Verdict& verdict) {
  if (detail::is_news(plan.status.conditions, verdict)) plan.event = verdict;
  set_ready(plan.status.conditions, false, verdict, in.acl.metadata.generation, in.now);
}

AclPlan plan_deletion(const AclInput& in) {
  AclPlan plan;
  plan.status = in.acl.status;
  if (!in.acl.metadata.has_finalizer(api::kFinalizer) || in.acl.status.cluster_id != in.cluster_id)
    return plan;
  plan.remove = to_remove(in, {}, relevant_bindings(in));
  if (plan.remove.empty()) return plan;
  plan.wants_finalizer = true;
  set_blocked(
      plan, in,
      in.rejection.value_or(Verdict{
          reason::kDeleting, "removing " + detail::counted(std::ssize(plan.remove), "rule")}));
  return plan;
}

void judge(AclPlan& plan, const AclInput& in, std::int64_t wanted) {
  const std::int64_t generation = in.acl.metadata.generation;
  auto& conditions = plan.status.conditions;
  if (plan.create.empty() && plan.remove.empty()) {
    set_ready(conditions, true,
              {reason::kReady, detail::counted(wanted, "rule") + " for " + *in.principal},
              generation, in.now);
    return;
  }
  if (in.rejection) return set_blocked(plan, in, *in.rejection);
  const Verdict doing{reason::kApplying, "adding " +
                                             detail::counted(std::ssize(plan.create), "rule") +
                                             ", removing " + std::to_string(plan.remove.size())};
  plan.event = doing;
  const api::Condition* ready = api::find_condition(conditions, api::condition::kReady);
  if (is_ready(conditions) && ready->observed_generation == generation) return;  // drift
  set_ready(conditions, false, doing, generation, in.now);
}

}  // namespace

std::vector<AclBinding> expand_acl(const api::AclSpec& spec, const std::string& principal) {
  Expansion out(principal);
  for (const api::AclRole& role : spec.roles) expand_role(role, out);
  for (const api::AclRule& rule : spec.rules) out.add(rule);
  return out.take();
}

std::set<AclBinding> bindings_of(const broker::metadata::MetadataImage& image) {
  std::set<AclBinding> out;
  for (const auto& [id, binding] : image.acls.by_id) out.insert(binding);
  return out;
}

AclPlan plan_acl(const AclInput& in) {
  const api::Acl& acl = in.acl;
  AclPlan plan;
  plan.status = acl.status;
  plan.wants_finalizer = acl.metadata.has_finalizer(api::kFinalizer);
  if (acl.metadata.is_paused()) return plan;
  if (acl.metadata.is_deleting()) return plan_deletion(in);

  plan.wants_finalizer = true;
  detail::begin_status(plan.status, acl.metadata);
  if (const auto obstacle = first_obstacle(in)) {
    set_blocked(plan, in, *obstacle);
    return plan;
  }
  const bool same_cluster = acl.status.cluster_id == in.cluster_id;
  plan.status.cluster_id = in.cluster_id;
  plan.status.principal = *in.principal;
  const auto list = expand_acl(acl.spec, *in.principal);
  const std::set<AclBinding> desired(list.begin(), list.end());
  const std::set<AclBinding> actual = relevant_bindings(in);
  std::set_difference(desired.begin(), desired.end(), actual.begin(), actual.end(),
                      std::back_inserter(plan.create));
  if (same_cluster) plan.remove = to_remove(in, desired, actual);
  std::set<AclBinding> owned = desired;
  owned.insert(plan.remove.begin(), plan.remove.end());
  plan.status.bindings.assign(owned.begin(), owned.end());
  judge(plan, in, std::ssize(desired));
  return plan;
}

}  // namespace op::plan
