#include "operator/controllers/metrics.h"

#include <nlohmann/json.hpp>

#include "operator/api/json.h"
#include "operator/model/names.h"
#include "operator/model/secrets.h"
#include "operator/pki/certificates.h"

namespace op::controllers {
namespace {

using nlohmann::json;

constexpr const char* kOurSecrets = "app.kubernetes.io/managed-by=millrace-operator";
constexpr const char* kLabelOfUsers = "millrace.io/user";
constexpr std::string_view kCertificateBegins = "-----BEGIN CERTIFICATE-----";
constexpr const kube::Kind* kResources[] = {
    &kube::kCluster, &kube::kTopic,           &kube::kUser,
    &kube::kAcl,     &kube::kExternalCluster, &kube::kRebalance};

std::string text(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Of the condition Ready as it stands in the object, whatever its kind.
std::pair<std::string, std::string> ready_of(const kube::Object& object) {
  const json document = json::parse(object.json, nullptr, false);
  static const json::json_pointer kConditions("/status/conditions");
  if (!document.is_object() || !document.contains(kConditions)) return {"Unknown", ""};
  for (const json& condition : document.at(kConditions)) {
    if (!condition.is_object() || text(condition, "type") != api::condition::kReady) continue;
    return {text(condition, "status"), text(condition, "reason")};
  }
  return {"Unknown", ""};
}

std::shared_ptr<const api::Cluster> parse_cluster(const kube::Object& object) {
  auto parsed = api::parse_cluster(json::parse(object.json, nullptr, false));
  return parsed.ok() ? std::make_shared<const api::Cluster>(std::move(*parsed)) : nullptr;
}

std::map<std::string, broker::WallMs> ends_in(const kube::Object& secret) {
  std::map<std::string, broker::WallMs> ends;
  for (const auto& [name, value] : secret_data(secret)) {
    const auto at = value.find(kCertificateBegins);
    if (at == std::string::npos) continue;
    const auto facts = pki::read_certificate(std::string_view(value).substr(at));
    if (facts.ok()) ends[name] = facts->not_after;
  }
  return ends;
}

OperatorMetrics::Cluster observed(const api::ClusterRef& ref, ClusterHandle* handle) {
  OperatorMetrics::Cluster out;
  out.ref = ref;
  if (handle == nullptr) return out;
  handle->follow_offsets();
  out.connected = handle->view().synced();
  out.image = handle->view().image();
  out.offsets = handle->view().offsets();
  out.cluster_id = handle->view().cluster_id();
  return out;
}

}  // namespace

OperatorMetrics MetricsCollector::collect() {
  const std::lock_guard lock(mutex_);
  states_.turn();
  parsed_.turn();
  ends_.turn();
  OperatorMetrics out;
  count_resources(out);
  for (const auto& object : store_.list(kube::kCluster, "", ""))
    if (const auto& cluster = parsed_.of(object, parse_cluster)) add_cluster(out, *cluster);
  for (const auto& [ref, handle] : clusters_.all())
    if (ref.kind == api::ClusterKind::kExternalCluster)
      out.clusters.push_back(observed(ref, handle.get()));
  add_users(out);
  return out;
}

void MetricsCollector::count_resources(OperatorMetrics& out) {
  for (const kube::Kind* kind : kResources) {
    for (const auto& object : store_.list(*kind, "", "")) {
      const ReadyState& state = states_.of(object, [](const kube::Object& changed) {
        auto [ready, reason] = ready_of(changed);
        return ReadyState{std::move(ready), std::move(reason)};
      });
      ++out.resources[{std::string(kind->kind), object->key.ns, state.ready, state.reason}];
    }
  }
}

broker::WallMs MetricsCollector::end_of(const kube::ObjectPtr& secret, const std::string& value) {
  if (!secret) return 0;
  const auto& ends = ends_.of(secret, ends_in);
  const auto found = ends.find(value);
  return found == ends.end() ? 0 : found->second;
}

void MetricsCollector::add_cluster(OperatorMetrics& out, const api::Cluster& cluster) {
  const std::string& ns = cluster.metadata.namespace_;
  const api::ClusterRef ref{api::ClusterKind::kCluster, {ns, cluster.metadata.name}};
  const ClusterHandlePtr handle = clusters_.find(ref);
  OperatorMetrics::Cluster shown = observed(ref, handle.get());
  const api::ClusterStatus& status = cluster.status;
  shown.version = status.version;
  shown.cluster_id = status.cluster_id;
  shown.brokers = status.brokers;
  shown.ready_brokers = status.ready_brokers;
  for (const api::Condition& condition : status.conditions)
    shown.conditions[condition.type] = condition.status == api::ConditionStatus::kTrue;
  if (status.roll) {
    shown.roll_total = status.roll->total;
    shown.roll_done = status.roll->done;
  }
  if (status.scale) {
    shown.scale_total = status.scale->total;
    shown.scale_moved = status.scale->moved;
  }
  out.clusters.push_back(std::move(shown));

  const auto add = [&](const char* type, const std::string& name, const std::string& secret,
                       const std::string& value) {
    const auto end = end_of(store_.get(kube::kSecret, {ns, secret}), value);
    if (end > 0) out.certificates.push_back({ns, cluster.metadata.name, type, name, end});
  };
  const std::string cluster_ca = model::cluster_ca_secret(cluster);
  const std::string users_ca = model::users_ca_secret(cluster);
  const std::string own = model::operator_secret(cluster);
  add("cluster-ca", cluster_ca, cluster_ca, model::kCaCertKey);
  add("users-ca", users_ca, users_ca, model::kCaCertKey);
  add("operator", own, own, "tls.crt");
  for (const api::PoolSpec& pool : cluster.spec.pools)
    for (const std::int32_t id : model::node_ids(pool))
      add("broker", model::pod_name(cluster, pool, id), model::broker_secret(cluster, pool),
          model::broker_keystore_key(id));
}

/// There may be ten thousand users: of each cluster the one whose certificate ends first.
void MetricsCollector::add_users(OperatorMetrics& out) {
  std::map<std::pair<std::string, std::string>, OperatorMetrics::Certificate> first;
  for (const auto& secret : store_.list(kube::kSecret, "", kOurSecrets)) {
    if (secret->label(kLabelOfUsers).empty()) continue;
    const auto end = end_of(secret, model::kUserCertKey);
    if (end == 0) continue;
    const std::string cluster(secret->label(std::string(model::kClusterLabel)));
    auto& known = first[{secret->key.ns, cluster}];
    if (known.not_after == 0 || end < known.not_after)
      known = {secret->key.ns, cluster, "user", secret->key.name, end};
  }
  for (auto& [key, certificate] : first) out.certificates.push_back(std::move(certificate));
}

}  // namespace op::controllers
