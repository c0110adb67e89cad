#include "operator/controllers/context.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "broker/metadata/image.h"
#include "operator/api/external_cluster.h"
#include "operator/api/json.h"

namespace op::controllers {

using nlohmann::json;

broker::WallMs Context::wall_now() const {
  if (settings.wall_now) return settings.wall_now();
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

api::Timestamp Context::timestamp() const { return plan::to_timestamp(wall_now()); }

plan::TenancyInput Target::tenancy(const Context& context,
                                   const std::string& object_namespace) const {
  const auto found = context.store.get(kube::kNamespace, {"", object_namespace});
  return {.cluster_namespace = ns,
          .tenants = tenants,
          .super_users = super_users,
          .object_namespace = object_namespace,
          .namespace_labels = found ? found->labels : std::map<std::string, std::string>()};
}

broker::Result<api::Cluster> read_cluster(const Context& context, const kube::Object& object) {
  ASSIGN_OR_RETURN(api::Cluster cluster,
                   api::parse_cluster(json::parse(object.json, nullptr, false)));
  context.infrastructure.adapt(cluster);
  return cluster;
}

namespace {

std::string acknowledged_id(const api::ObjectMeta& meta) {
  const std::string* value = meta.annotation(api::kAcknowledgeAnnotation);
  return value == nullptr ? std::string() : *value;
}

void gather_own_cluster(const Context& context, const kube::Object& object, Target& target) {
  auto cluster = read_cluster(context, object);
  if (!cluster.ok()) {
    target.problem = plan::Verdict{api::reason::kClusterNotReady, cluster.error().detail};
    return;
  }
  target.tenants = cluster->spec.tenants;
  target.super_users = {cluster->spec.authorization.super_users.begin(),
                        cluster->spec.authorization.super_users.end()};
  target.acknowledged_cluster_id = acknowledged_id(cluster->metadata);
  target.cluster = std::move(*cluster);
}

void gather_external_cluster(const kube::Object& object, Target& target) {
  const auto cluster = api::parse_external_cluster(json::parse(object.json, nullptr, false));
  if (!cluster.ok()) {
    target.problem = plan::Verdict{api::reason::kClusterNotReady, cluster.error().detail};
    return;
  }
  target.tenants = cluster->spec.tenants;
  target.acknowledged_cluster_id = acknowledged_id(cluster->metadata);
}

}  // namespace

Target gather_target(const Context& context, const api::ClusterRef& ref) {
  Target target;
  target.ns = ref.object.namespace_;
  const bool own = ref.kind == api::ClusterKind::kCluster;
  const kube::Kind& kind = own ? kube::kCluster : kube::kExternalCluster;
  const auto object = context.store.get(kind, {ref.object.namespace_, ref.object.name});
  if (!object || object->deleting) {
    target.gone = true;
    target.problem = plan::Verdict{api::reason::kClusterNotFound,
                                   std::string(kind.kind) + " " + to_string(ref.object) +
                                       (object ? " is being deleted" : " does not exist")};
    return target;
  }
  if (own) {
    gather_own_cluster(context, *object, target);
  } else {
    gather_external_cluster(*object, target);
  }
  if (target.problem) return target;
  target.handle = context.clusters.find(ref);
  const bool runs = target.cluster && target.cluster->status.formatted;
  target.is_connecting =
      runs &&
      (!target.handle || (target.handle->is_connecting() && !target.handle->view().synced()));
  if (!target.handle) {
    target.problem = plan::Verdict{api::reason::kClusterNotReady,
                                   "cluster " + to_string(ref.object) + ": not connected yet"};
    return target;
  }
  target.image = target.handle->view().image();
  target.cluster_id = target.handle->view().cluster_id();
  if (!target.image || !target.handle->view().synced()) {
    target.problem =
        plan::Verdict{api::reason::kClusterNotReady,
                      "cluster " + to_string(ref.object) + ": " + target.handle->view().problem()};
  }
  return target;
}

bool namespace_is_ending(const Context& context, const std::string& ns) {
  const auto found = context.store.get(kube::kNamespace, {"", ns});
  return found && found->deleting;
}

plan::Verdict verdict_of(const kafka::ItemResult& refusal) {
  const std::string text = std::string(broker::error_name(refusal.code)) +
                           (refusal.message.empty() ? std::string() : ": " + refusal.message);
  switch (refusal.code) {
    case broker::ErrorCode::kNetworkException:
    case broker::ErrorCode::kRequestTimedOut:
    case broker::ErrorCode::kNotController:
      return {api::reason::kUnreachable, text};
    default:
      return {api::reason::kRejectedByBroker, text};
  }
}

namespace {

/// {type, False or True, Invalid}, in place of the one of that type; keeps the time of an unchanged
/// status. Returns whether it is another.
bool put_condition(json& conditions, std::string_view type, const char* status,
                   const std::string& message, const kube::Object& object,
                   const api::Timestamp& now) {
  json wanted{{"type", type},
              {"status", status},
              {"reason", api::reason::kInvalid},
              {"message", message},
              {"observedGeneration", object.generation},
              {"lastTransitionTime", now}};
  for (json& condition : conditions) {
    if (condition.value("type", "") != type) continue;
    const bool same_words = condition.value("message", "") == message &&
                            condition.value("reason", "") == api::reason::kInvalid;
    if (condition.value("status", "") == status) {
      if (same_words) return false;
      wanted["lastTransitionTime"] = condition.value("lastTransitionTime", now);
    }
    condition = std::move(wanted);
    return true;
  }
  conditions.push_back(std::move(wanted));
  return true;
}

}  // namespace

Outcome report_unreadable(const Context& context, const kube::Object& object,
                          const std::string& message) {
  const json document = json::parse(object.json, nullptr, false);
  // Everything else in the status stays: it says which cluster and which topic are ours.
  json status = document.value("status", json::object());
  json conditions = status.value("conditions", json::array());
  const api::Timestamp now = context.timestamp();
  bool news = put_condition(conditions, api::condition::kReady, "False", message, object, now);
  if (*object.kind == kube::kCluster) {
    news =
        put_condition(conditions, api::condition::kStalled, "True", message, object, now) || news;
  }
  if (!news) return Outcome::done();
  status["conditions"] = std::move(conditions);
  status["observedGeneration"] = object.generation;
  const auto written = context.store.write_status(object, status.dump());
  if (written.ok()) {
    context.store.event(object, true, std::string(api::reason::kInvalid), message);
  }
  return written.ok() ? Outcome::done() : Outcome::failed(written.error());
}

}  // namespace op::controllers
