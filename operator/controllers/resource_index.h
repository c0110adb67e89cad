#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "operator/api/meta.h"
#include "operator/kube/object.h"
#include "operator/provider/resource_store.h"
#include "operator/reconcile/types.h"

namespace op::controllers {

/// What a Topic, User, ACL or Rebalance claims: a name of its kind in one Kafka cluster.
struct Claim {
  kube::ObjectKey key;
  std::string uid;
  std::string created;  // age decides conflicts
  bool deleting = false;
  api::ClusterRef cluster;
  std::string name;      // topic name; username; principal of an ACL, or "" with a userRef;
                         // "" of a Rebalance
  std::string user_ref;  // of an ACL: name of a User in its namespace

  /// Older first; equal ages by name, so that all replicas decide alike.
  bool is_older_than(const Claim& other) const {
    return std::tie(created, key) < std::tie(other.created, other.key);
  }
};

/// What it claims; nullopt when its spec does not parse.
std::optional<Claim> claim_of(const kube::Object& object);

/// Who claims what, kept current by the store's changes, so that conflicts, drift and dependants
/// are found without looking at every resource. Thread-safe.
class ResourceIndex {
 public:
  /// Subscribes to Topics, Users, ACLs and Rebalances. Before the store starts and before the
  /// runner's own subscription, so that a reconcile finds itself in the index.
  explicit ResourceIndex(provider::ResourceStore& store);

  /// Who claims `name`, older first, objects being deleted included.
  std::vector<Claim> claims(const kube::Kind& kind, const api::ClusterRef& cluster,
                            const std::string& name) const;
  /// Every Topic, User, ACL and Rebalance of the cluster.
  std::vector<reconcile::WorkKey> of_cluster(const api::ClusterRef& cluster) const;
  /// ACLs that refer to this User by name.
  std::vector<Claim> acls_of_user(const kube::ObjectKey& user) const;
  /// ACLs whose principal is `principal`, directly or through a User.
  std::vector<Claim> acls_of_principal(const api::ClusterRef& cluster,
                                       const std::string& principal) const;
  /// Clusters that something refers to.
  std::set<api::ClusterRef> clusters() const;

 private:
  void update(const kube::ObjectPtr& old, const kube::ObjectPtr& now);
  void erase_locked(const reconcile::WorkKey& key);

  using NameKey = std::tuple<std::string, api::ClusterRef, std::string>;  // kind, cluster, name
  mutable std::mutex mutex_;
  std::map<reconcile::WorkKey, Claim> claims_;
  std::map<NameKey, std::set<reconcile::WorkKey>> by_name_;
  std::map<api::ClusterRef, std::set<reconcile::WorkKey>> by_cluster_;
  std::map<kube::ObjectKey, std::set<reconcile::WorkKey>> by_user_ref_;
};

}  // namespace op::controllers
