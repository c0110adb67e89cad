#include "operator/controllers/cluster_apply.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "broker/common/log.h"
#include "operator/controllers/moves.h"
#include "operator/model/cluster_objects.h"
#include "operator/model/names.h"

namespace op::controllers {
namespace {

using broker::Error;
using nlohmann::json;
using reconcile::WorkKey;

Error in_object(const kube::Kind& kind, const std::string& name, const Error& error) {
  return {error.code, std::string(kind.kind) + " " + name + ": " + error.detail};
}

/// Only of pools that were removed from the Cluster, and were empty before (validate_cluster.cc).
broker::Result<void> prune_empty_sets(const Context& context, const api::Cluster& cluster,
                                      const std::string& selector,
                                      const std::set<std::string>& rendered) {
  const std::string& ns = cluster.metadata.namespace_;
  for (const auto& set : context.store.list(kube::kStatefulSet, ns, selector)) {
    if (rendered.contains(set->key.name) || set->deleting) continue;
    const json document = json::parse(set->json, nullptr, false);
    if (document.value("/spec/replicas"_json_pointer, 1) != 0) continue;
    const auto removed = context.store.remove(kube::kStatefulSet, set->key, set->uid);
    if (!removed.ok() && removed.code() != broker::ErrorCode::kResourceNotFound)
      return in_object(kube::kStatefulSet, set->key.name, removed.error());
  }
  return {};
}

constexpr const kube::Kind* kPruned[] = {&kube::kService, &kube::kConfigMap,
                                         &kube::kPodDisruptionBudget, &kube::kNetworkPolicy};

}  // namespace

broker::Result<void> apply_objects(const Context& context, const api::Cluster& cluster) {
  const std::string& ns = cluster.metadata.namespace_;
  std::map<std::string, std::set<std::string>> rendered;  // kind -> names
  std::optional<Error> first;
  for (const json& object :
       model::render_cluster({cluster, context.settings.ns, context.settings.pod_labels})) {
    const std::string kind_name = object.at("kind").get<std::string>();
    const std::string name = object.at("metadata").at("name").get<std::string>();
    const kube::Kind* kind = kube::find_kind(kind_name);
    CHECK(kind != nullptr);
    rendered[kind_name].insert(name);
    const auto written = context.writer.ensure(*kind, {ns, name}, object.dump());
    if (!written.ok() && !first) first = in_object(*kind, name, written.error());
  }
  const std::string selector = std::string(model::kClusterLabel) + "=" + cluster.metadata.name +
                               ",app.kubernetes.io/managed-by=millrace-operator";
  for (const kube::Kind* kind : kPruned) {
    const auto removed =
        context.writer.prune(*kind, ns, selector, rendered[std::string(kind->kind)]);
    if (!removed.ok() && !first) first = in_object(*kind, "", removed.error());
  }
  const auto pruned = prune_empty_sets(context, cluster, selector, rendered["StatefulSet"]);
  if (!pruned.ok() && !first) first = pruned.error();
  if (first) return *first;
  return {};
}

void apply_dynamic_config(const Context& context, const api::Cluster& cluster,
                          std::int64_t generation, ClusterHandle& handle,
                          const broker::metadata::MetadataImage& image) {
  const WorkKey key{std::string(api::Cluster::kKind),
                    {cluster.metadata.namespace_, cluster.metadata.name}};
  const auto changes = plan::plan_dynamic_config(cluster, image);
  if (changes.empty()) return context.operations.settle(key);
  const auto now = std::chrono::steady_clock::now();
  if (context.operations.phase(key, generation, now) != Operations::Phase::kFree) return;
  kafka::ConfigAlteration alteration;
  alteration.type = kafka::ConfigAlteration::Type::kBroker;  // name "": all brokers
  for (const auto& [name, value] : changes) alteration.changes.push_back({name, value});
  handle.admin().alter_configs(std::move(alteration), context.operations.begin(key, generation));
}

broker::Result<void> apply_roll(const Context& context, const kube::Object& object,
                                const plan::RollAction& action) {
  const auto* restart = std::get_if<plan::RestartBroker>(&action);
  if (restart == nullptr) return {};
  const auto removed =
      context.store.remove(kube::kPod, {object.key.ns, restart->pod}, restart->uid);
  if (!removed.ok()) {
    if (removed.code() == broker::ErrorCode::kResourceNotFound) return {};
    return removed.error();
  }
  broker::log_info("controllers", "broker restarted",
                   {{"pod", restart->pod}, {"reason", restart->why.message}});
  context.store.event(
      object, false, std::string(restart->why.reason),
      "restarting node " + std::to_string(restart->node_id) + ": its pod " + restart->why.message);
  return {};
}

namespace {

/// One request to Kafka of a round.
struct Operation {
  std::string what;
  std::function<void(AdminBatcher&, AdminBatcher::Done)> send;
};

Operation cordoning(std::int32_t broker, bool on) {
  kafka::ConfigAlteration alteration;
  alteration.type = kafka::ConfigAlteration::Type::kBroker;
  alteration.name = std::to_string(broker);
  alteration.changes.push_back(
      {"cordoned.log.dirs", on ? std::optional<std::string>("*") : std::nullopt});
  return {(on ? "cordoning broker " : "releasing broker ") + std::to_string(broker),
          [alteration](AdminBatcher& admin, AdminBatcher::Done done) {
            admin.alter_configs(alteration, std::move(done));
          }};
}

std::vector<Operation> operations_of(const plan::ScaleStep& step, const plan::RollAction& roll) {
  std::vector<Operation> out;
  for (const std::int32_t id : step.cordon) out.push_back(cordoning(id, true));
  for (const std::int32_t id : step.uncordon) out.push_back(cordoning(id, false));
  for (const std::int32_t id : step.unregister) {
    out.push_back({"unregistering broker " + std::to_string(id),
                   [id](AdminBatcher& admin, AdminBatcher::Done done) {
                     admin.unregister_broker(id, std::move(done));
                   }});
  }
  if (const auto* restore = std::get_if<plan::RestoreLeaders>(&roll)) {
    for (const auto& [topic, partition] : restore->partitions) {
      out.push_back({"electing the preferred leader of " + topic + "-" + std::to_string(partition),
                     [topic, partition](AdminBatcher& admin, AdminBatcher::Done done) {
                       admin.elect_preferred_leader({topic, partition}, std::move(done));
                     }});
    }
  }
  return out;
}

}  // namespace

void apply_scale(const Context& context, const api::Cluster& cluster, const plan::ScaleStep& step,
                 const plan::RollAction& roll, const broker::metadata::MetadataImage& image,
                 const ClusterHandlePtr& handle) {
  const std::vector<Operation> operations = operations_of(step, roll);
  const WorkKey key{std::string(api::Cluster::kKind),
                    {cluster.metadata.namespace_, cluster.metadata.name}};
  Round& round = handle->scaling();
  if (!round.begin(operations.size() + step.moves.size(),
                   [&context, key] { context.enqueue(key); }))
    return;
  if (!step.moves.empty() || !step.cordon.empty() || !step.unregister.empty()) {
    broker::log_info("controllers", "scaling",
                     {{"cluster", cluster.metadata.name},
                      {"moves", static_cast<std::int64_t>(step.moves.size())},
                      {"cordon", static_cast<std::int64_t>(step.cordon.size())},
                      {"unregister", static_cast<std::int64_t>(step.unregister.size())}});
  }
  for (const Operation& operation : operations)
    operation.send(handle->admin(), round.answer(operation.what));
  send_moves(handle, image, cluster.spec.rebalance.throttle_bytes_per_second, step.moves,
             [&](const plan::Move& move) {
               return round.answer("moving " + move.topic + "-" + std::to_string(move.partition));
             });
}

void apply_voters(const Context& context, const api::Cluster& cluster,
                  const plan::VoterAction& action, ClusterHandle& handle) {
  kafka::VoterChange change;
  std::string why;
  if (const auto* remove = std::get_if<plan::RemoveVoter>(&action)) {
    change = {true, remove->node_id, remove->directory_id, {}};
    why = remove->why.message;
  } else if (const auto* add = std::get_if<plan::AddVoter>(&action)) {
    const api::PoolSpec* pool = model::pool_of(cluster, add->node_id);
    const provider::Infrastructure::NodeName node{
        {cluster.metadata.namespace_, cluster.metadata.name},
        model::pod_name(cluster, *pool, add->node_id),
        model::pod_host(cluster, *pool, add->node_id)};
    change = {false, add->node_id, add->directory_id,
              context.infrastructure.node_endpoint(node, model::kControllerPort)};
    why = add->why.message;
  } else {
    return;
  }
  const WorkKey key{std::string(api::Cluster::kKind),
                    {cluster.metadata.namespace_, cluster.metadata.name}};
  const bool remove = change.remove;
  const std::int32_t node_id = change.node_id;
  const bool begun =
      handle.change_voter(std::move(change), [&context, key] { context.enqueue(key); });
  if (begun) {
    broker::log_info("controllers", remove ? "removing a voter" : "adding a voter",
                     {{"cluster", cluster.metadata.name}, {"node", node_id}, {"reason", why}});
  }
}

}  // namespace op::controllers
