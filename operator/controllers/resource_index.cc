#include "operator/controllers/resource_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "operator/api/acl.h"
#include "operator/api/json.h"
#include "operator/api/rebalance.h"
#include "operator/api/topic.h"
#include "operator/api/user.h"

namespace op::controllers {
namespace {

using reconcile::WorkKey;

constexpr std::string_view kUserPrefix = "User:";

}  // namespace

std::optional<Claim> claim_of(const kube::Object& object) {
  const auto document = nlohmann::json::parse(object.json, nullptr, false);
  Claim claim{
      .key = object.key, .uid = object.uid, .created = object.created, .deleting = object.deleting};
  if (*object.kind == kube::kTopic) {
    const auto topic = api::parse_topic(document);
    if (!topic.ok()) return std::nullopt;
    claim.cluster = topic->spec.cluster_ref;
    claim.name = topic->spec.name;
  } else if (*object.kind == kube::kUser) {
    const auto user = api::parse_user(document);
    if (!user.ok()) return std::nullopt;
    claim.cluster = user->spec.cluster_ref;
    claim.name = user->spec.username;
  } else if (*object.kind == kube::kRebalance) {
    const auto rebalance = api::parse_rebalance(document);
    if (!rebalance.ok()) return std::nullopt;
    claim.cluster = rebalance->spec.cluster_ref;  // they all want the same: its partitions
  } else {
    const auto acl = api::parse_acl(document);
    if (!acl.ok()) return std::nullopt;
    claim.cluster = acl->spec.cluster_ref;
    claim.name = acl->spec.principal.value_or("");
    claim.user_ref = acl->spec.user_ref.value_or("");
  }
  return claim;
}

ResourceIndex::ResourceIndex(provider::ResourceStore& store) {
  for (const kube::Kind* kind : {&kube::kTopic, &kube::kUser, &kube::kAcl, &kube::kRebalance}) {
    store.subscribe(*kind, [this](const kube::ObjectPtr& old, const kube::ObjectPtr& now) {
      update(old, now);
    });
    for (const auto& object : store.list(*kind, "", "")) update(nullptr, object);
  }
}

void ResourceIndex::update(const kube::ObjectPtr& old, const kube::ObjectPtr& now) {
  // A status write changes no claim.
  if (old && now && old->uid == now->uid && old->generation == now->generation &&
      old->deleting == now->deleting && now->generation != 0) {
    return;
  }
  const kube::Object& object = now ? *now : *old;
  const WorkKey key{std::string(object.kind->kind), object.key};
  const std::optional<Claim> claim = now ? claim_of(*now) : std::nullopt;
  const std::lock_guard lock(mutex_);
  erase_locked(key);
  if (!claim) return;
  claims_[key] = *claim;
  by_name_[{key.kind, claim->cluster, claim->name}].insert(key);
  by_cluster_[claim->cluster].insert(key);
  if (!claim->user_ref.empty()) by_user_ref_[{claim->key.ns, claim->user_ref}].insert(key);
}

void ResourceIndex::erase_locked(const WorkKey& key) {
  const auto found = claims_.find(key);
  if (found == claims_.end()) return;
  const Claim& claim = found->second;
  const auto drop = [&](auto& index, const auto& at) {
    const auto entry = index.find(at);
    if (entry == index.end()) return;
    entry->second.erase(key);
    if (entry->second.empty()) index.erase(entry);
  };
  drop(by_name_, NameKey{key.kind, claim.cluster, claim.name});
  drop(by_cluster_, claim.cluster);
  drop(by_user_ref_, kube::ObjectKey{claim.key.ns, claim.user_ref});
  claims_.erase(found);
}

std::vector<Claim> ResourceIndex::claims(const kube::Kind& kind, const api::ClusterRef& cluster,
                                         const std::string& name) const {
  const std::lock_guard lock(mutex_);
  std::vector<Claim> out;
  const auto found = by_name_.find({std::string(kind.kind), cluster, name});
  if (found == by_name_.end()) return out;
  for (const WorkKey& key : found->second) out.push_back(claims_.at(key));
  std::sort(out.begin(), out.end(),
            [](const Claim& a, const Claim& b) { return a.is_older_than(b); });
  return out;
}

std::vector<WorkKey> ResourceIndex::of_cluster(const api::ClusterRef& cluster) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_cluster_.find(cluster);
  if (found == by_cluster_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<Claim> ResourceIndex::acls_of_user(const kube::ObjectKey& user) const {
  const std::lock_guard lock(mutex_);
  std::vector<Claim> out;
  const auto found = by_user_ref_.find(user);
  if (found == by_user_ref_.end()) return out;
  for (const WorkKey& key : found->second) out.push_back(claims_.at(key));
  return out;
}

std::vector<Claim> ResourceIndex::acls_of_principal(const api::ClusterRef& cluster,
                                                    const std::string& principal) const {
  std::vector<Claim> out = claims(kube::kAcl, cluster, principal);
  if (principal.rfind(kUserPrefix, 0) != 0) return out;
  for (const Claim& user : claims(kube::kUser, cluster, principal.substr(kUserPrefix.size()))) {
    for (Claim& acl : acls_of_user(user.key)) {
      if (acl.cluster == cluster) out.push_back(std::move(acl));
    }
  }
  return out;
}

std::set<api::ClusterRef> ResourceIndex::clusters() const {
  const std::lock_guard lock(mutex_);
  std::set<api::ClusterRef> out;
  for (const auto& [cluster, keys] : by_cluster_) out.insert(cluster);
  return out;
}

}  // namespace op::controllers
