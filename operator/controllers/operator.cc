#include "operator/controllers/operator.h"

#include "operator/controllers/acl_controller.h"
#include "operator/controllers/cluster_controller.h"
#include "operator/controllers/external_controller.h"
#include "operator/controllers/rebalance_controller.h"
#include "operator/controllers/rebalance_document.h"
#include "operator/controllers/topic_controller.h"
#include "operator/controllers/user_controller.h"
#include "operator/model/names.h"

namespace op::controllers {
namespace {

using kube::ObjectPtr;
using reconcile::WorkKey;

constexpr const char* kManaged = "app.kubernetes.io/managed-by=millrace-operator";
constexpr const char* kUserLabel = "millrace.io/user";
constexpr const kube::Kind* kChildren[] = {
    &kube::kSecret,      &kube::kConfigMap,           &kube::kService,       &kube::kServiceAccount,
    &kube::kStatefulSet, &kube::kPodDisruptionBudget, &kube::kNetworkPolicy, &kube::kPod};

WorkKey key_of(const kube::Kind& kind, const ObjectKey& key) {
  return {std::string(kind.kind), key};
}

std::vector<WorkKey> owners_of(const ObjectPtr& old, const ObjectPtr& now) {
  const kube::Object& child = now ? *now : *old;
  std::vector<WorkKey> owners;
  if (const auto user = child.label(kUserLabel); !user.empty()) {
    owners.push_back(key_of(kube::kUser, {child.key.ns, std::string(user)}));
  } else if (const auto rebalance = child.label(kRebalanceLabel); !rebalance.empty()) {
    owners.push_back(key_of(kube::kRebalance, {child.key.ns, std::string(rebalance)}));
  } else if (const auto cluster = child.label(std::string(model::kClusterLabel));
             !cluster.empty()) {
    owners.push_back(key_of(kube::kCluster, {child.key.ns, std::string(cluster)}));
  }
  return owners;
}

/// A change that matters to what belongs to the cluster; its status does not.
bool is_new_to_dependants(const ObjectPtr& old, const ObjectPtr& now) {
  return !old || !now || old->uid != now->uid || old->generation != now->generation ||
         old->deleting != now->deleting || old->annotations != now->annotations;
}

}  // namespace

std::vector<WatchedChild> watched_kinds() {
  std::vector<WatchedChild> kinds;
  for (const kube::Kind* kind : {&kube::kCluster, &kube::kTopic, &kube::kUser, &kube::kAcl,
                                 &kube::kExternalCluster, &kube::kRebalance, &kube::kNamespace}) {
    kinds.push_back({kind, ""});
  }
  for (const kube::Kind* kind : kChildren) kinds.push_back({kind, kManaged});
  return kinds;
}

Operator::Operator(Ports ports, OperatorSettings settings, RunnerOptions options,
                   BatchOptions batches)
    : store_(ports.store),
      settings_(std::move(settings)),
      index_(ports.store),
      runner_(ports.store, options),
      clusters_(ports.connector, ports.scheduler, batches, ports.may_write,
                [this](const api::ClusterRef& cluster, const kafka::Changes& changes) {
                  on_kafka_change(cluster, changes);
                }),
      operations_([this](const WorkKey& key) { runner_.enqueue(key); }),
      writer_(ports.store),
      context_{ports.store,
               ports.infrastructure,
               clusters_,
               index_,
               operations_,
               writer_,
               secrets_,
               settings_,
               [this](const WorkKey& key) { runner_.enqueue(key); }} {
  controllers_.push_back(std::make_unique<ClusterController>(context_));
  controllers_.push_back(std::make_unique<ExternalClusterController>(context_));
  controllers_.push_back(std::make_unique<TopicController>(context_));
  controllers_.push_back(std::make_unique<UserController>(context_));
  controllers_.push_back(std::make_unique<AclController>(context_));
  controllers_.push_back(std::make_unique<RebalanceController>(context_));
  for (const auto& controller : controllers_) runner_.add(*controller);
  watch_children();
  watch_dependants();
}

Operator::~Operator() { stop(); }

void Operator::watch_children() {
  for (const kube::Kind* kind : kChildren) runner_.watch(*kind, &owners_of);
}

void Operator::watch_dependants() {
  for (const auto& [kind, cluster_kind] :
       {std::pair{&kube::kCluster, api::ClusterKind::kCluster},
        std::pair{&kube::kExternalCluster, api::ClusterKind::kExternalCluster}}) {
    runner_.watch(*kind,
                  [this, cluster_kind = cluster_kind](const ObjectPtr& old, const ObjectPtr& now) {
                    if (!is_new_to_dependants(old, now)) return std::vector<WorkKey>();
                    const ObjectKey& key = (now ? now : old)->key;
                    return index_.of_cluster({cluster_kind, {key.ns, key.name}});
                  });
  }
  // Who claims the same name, and the ACLs that refer to a User.
  for (const kube::Kind* kind : {&kube::kTopic, &kube::kUser}) {
    runner_.watch(*kind, [this, kind](const ObjectPtr& old, const ObjectPtr& now) {
      std::vector<WorkKey> keys;
      if (!is_new_to_dependants(old, now)) return keys;
      const kube::Object& object = now ? *now : *old;
      if (const auto claim = claim_of(object)) {
        for (const Claim& rival : index_.claims(*kind, claim->cluster, claim->name)) {
          if (rival.uid != object.uid) keys.push_back(key_of(*kind, rival.key));
        }
      }
      if (kind == &kube::kUser) {
        for (const Claim& acl : index_.acls_of_user(object.key)) {
          keys.push_back(key_of(kube::kAcl, acl.key));
        }
      }
      return keys;
    });
  }
  // Admission is by the namespace's labels.
  runner_.watch(kube::kNamespace, [this](const ObjectPtr& old, const ObjectPtr& now) {
    std::vector<WorkKey> keys;
    if (old && now && old->labels == now->labels && old->deleting == now->deleting) return keys;
    const std::string& ns = (now ? now : old)->key.name;
    for (const kube::Kind* kind : {&kube::kTopic, &kube::kUser, &kube::kAcl}) {
      for (const auto& object : store_.list(*kind, ns, "")) {
        keys.push_back(key_of(*kind, object->key));
      }
    }
    return keys;
  });
}

void Operator::on_kafka_change(const api::ClusterRef& cluster, const kafka::Changes& changes) {
  const kube::Kind& kind =
      cluster.kind == api::ClusterKind::kCluster ? kube::kCluster : kube::kExternalCluster;
  const ObjectKey key{cluster.object.namespace_, cluster.object.name};
  if (changes.everything || changes.brokers || changes.state || changes.replication ||
      changes.quorum) {
    runner_.enqueue(key_of(kind, key));
  }
  if (changes.replication) {
    for (const Claim& claim : index_.claims(kube::kRebalance, cluster, ""))
      runner_.enqueue(key_of(kube::kRebalance, claim.key));
  }
  // The first image comes before it counts as synced: who looked in between found it out of step.
  if (changes.everything || changes.state) {
    for (const WorkKey& dependant : index_.of_cluster(cluster)) runner_.enqueue(dependant);
    return;
  }
  for (const std::string& topic : changes.topics) {
    for (const Claim& claim : index_.claims(kube::kTopic, cluster, topic)) {
      runner_.enqueue(key_of(kube::kTopic, claim.key));
    }
  }
  for (const std::string& user : changes.users) {
    for (const Claim& claim : index_.claims(kube::kUser, cluster, user)) {
      runner_.enqueue(key_of(kube::kUser, claim.key));
    }
  }
  for (const std::string& principal : changes.principals) {
    for (const Claim& claim : index_.acls_of_principal(cluster, principal)) {
      runner_.enqueue(key_of(kube::kAcl, claim.key));
    }
  }
}

void Operator::start() { runner_.start(); }

void Operator::stop() {
  runner_.stop();
  clusters_.close_all();
  secrets_.clear();  // whoever acts meanwhile may issue others
}

}  // namespace op::controllers
