#include "operator/model/render.h"

namespace op::model::detail {

using nlohmann::json;

namespace {

constexpr std::int64_t kUserId = 65532;  // as in images/broker
constexpr std::int64_t kGracePeriodSeconds = 60;

json container_ports(const api::Cluster& cluster, const api::PoolSpec& pool) {
  json out = json::array();
  const auto add = [&out](const std::string& name, std::int32_t port) {
    out.push_back({{"name", name}, {"containerPort", port}, {"protocol", "TCP"}});
  };
  if (pool.has_role(api::Role::kController)) add("tcp-controller", kControllerPort);
  if (pool.has_role(api::Role::kBroker)) {
    add("tcp-internal", kInternalPort);
    for (const api::ListenerSpec& listener : cluster.spec.listeners)
      add("tcp-" + listener.name, listener.port);
  }
  add("tcp-prometheus", kHttpPort);
  return out;
}

json probe(const char* path, int period_seconds, int failure_threshold) {
  return {{"httpGet", {{"path", path}, {"port", "tcp-prometheus"}, {"scheme", "HTTP"}}},
          {"periodSeconds", period_seconds},
          {"timeoutSeconds", 5},
          {"failureThreshold", failure_threshold}};
}

json field_variable(const char* name, const char* path) {
  return {{"name", name},
          {"valueFrom", {{"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", path}}}}}};
}

void append_all(json& list, const std::optional<api::RawJson>& more) {
  if (!more) return;
  for (json& element : parse_raw(*more)) list.push_back(std::move(element));
}

json container(const api::Cluster& cluster, const api::PoolSpec& pool) {
  const std::string config = kConfigDir;
  json env = {field_variable("POD_NAME", "metadata.name"),
              field_variable("POD_NAMESPACE", "metadata.namespace"),
              field_variable("MILLRACE_ADDRESS", "status.podIP")};
  append_all(env, pool.template_.env);
  json out = {{"name", "kafka"},
              {"image", cluster.status.image},
              {"command",
               {"millrace-broker", "run", config + "/server.properties", "--node-id-from-hostname",
                "--overlay", config, "--bootstrap", config + "/cluster.json"}},
              {"env", std::move(env)},
              {"ports", container_ports(cluster, pool)},
              // Reading back an unclean log may take minutes: only a broker that has started is
              // killed for being silent.
              {"startupProbe", probe("/livez", 1, 1800)},
              {"livenessProbe", probe("/livez", 10, 3)},
              {"readinessProbe", probe("/readyz", 1, 3)},
              {"securityContext",
               {{"allowPrivilegeEscalation", false},
                {"readOnlyRootFilesystem", true},
                {"capabilities", {{"drop", {"ALL"}}}}}},
              // The last line says what is wrong: it gets into the condition of the Cluster.
              {"terminationMessagePolicy", "FallbackToLogsOnError"},
              {"volumeMounts",
               {{{"name", "config"}, {"mountPath", kConfigDir}, {"readOnly", true}},
                {{"name", "certs"}, {"mountPath", kCertsDir}, {"readOnly", true}},
                {{"name", "data-0"}, {"mountPath", kDataDir}}}}};
  if (!cluster.spec.image.pull_policy.empty())
    out["imagePullPolicy"] = cluster.spec.image.pull_policy;
  json& resources = out["resources"] = json::object();
  if (!pool.resources.requests.empty()) resources["requests"] = pool.resources.requests;
  if (!pool.resources.limits.empty()) resources["limits"] = pool.resources.limits;
  return out;
}

json default_spread(const api::Cluster& cluster, const api::PoolSpec& pool) {
  json out = json::array();
  auto labels = selector_labels(cluster);
  labels[std::string(kPoolLabel)] = pool.name;
  for (const char* key : {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}) {
    out.push_back({{"maxSkew", 1},
                   {"topologyKey", key},
                   {"whenUnsatisfiable", "ScheduleAnyway"},
                   {"labelSelector", {{"matchLabels", labels}}}});
  }
  return out;
}

json pod_spec(const api::Cluster& cluster, const api::PoolSpec& pool) {
  const api::PodTemplate& user = pool.template_;
  json containers = json::array({container(cluster, pool)});
  append_all(containers, user.sidecars);
  json volumes = {
      {{"name", "config"}, {"configMap", {{"name", config_map(cluster, pool)}}}},
      {{"name", "certs"},
       {"secret", {{"secretName", broker_secret(cluster, pool)}, {"defaultMode", 0440}}}}};
  append_all(volumes, user.volumes);
  json out = {{"serviceAccountName", service_account(cluster)},
              {"automountServiceAccountToken", false},
              {"enableServiceLinks", false},
              {"terminationGracePeriodSeconds",
               user.termination_grace_period_seconds.value_or(kGracePeriodSeconds)},
              {"securityContext",
               {{"runAsNonRoot", true},
                {"runAsUser", kUserId},
                {"runAsGroup", kUserId},
                {"fsGroup", kUserId},
                {"fsGroupChangePolicy", "OnRootMismatch"},
                {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
              {"containers", std::move(containers)},
              {"volumes", std::move(volumes)},
              {"topologySpreadConstraints", user.topology_spread_constraints
                                                ? parse_raw(*user.topology_spread_constraints)
                                                : default_spread(cluster, pool)}};
  if (!user.node_selector.empty()) out["nodeSelector"] = user.node_selector;
  if (user.priority_class_name) out["priorityClassName"] = *user.priority_class_name;
  if (user.affinity) out["affinity"] = parse_raw(*user.affinity);
  if (user.tolerations) out["tolerations"] = parse_raw(*user.tolerations);
  for (const std::string& secret : cluster.spec.image.pull_secrets)
    out["imagePullSecrets"].push_back({{"name", secret}});
  return out;
}

json volume_claim(const api::PoolSpec& pool) {
  const api::VolumeSpec& volume = pool.storage.volumes.front();
  json out = {{"metadata", {{"name", "data-0"}}},
              {"spec",
               {{"accessModes", {"ReadWriteOnce"}},
                {"resources", {{"requests", {{"storage", volume.size}}}}}}}};
  if (volume.storage_class_name) out["spec"]["storageClassName"] = *volume.storage_class_name;
  return out;
}

}  // namespace

json stateful_set(const api::Cluster& cluster, const api::PoolSpec& pool) {
  auto labels = pool.template_.labels;
  for (const auto& [key, value] : pool_labels(cluster, pool)) labels[key] = value;
  auto annotations = pool.template_.annotations;
  annotations[std::string(kDeclaredDigestAnnotation)] = declared_digest(cluster, pool);
  auto selector = selector_labels(cluster);
  selector[std::string(kPoolLabel)] = pool.name;

  json out = owned(cluster, "apps/v1", "StatefulSet", pool_name(cluster, pool),
                   pool_labels(cluster, pool));
  const bool deletes = pool.storage.on_delete == api::VolumePolicy::kDelete;
  out["spec"] = {{"replicas", pool.replicas},
                 {"serviceName", headless_service(cluster)},
                 {"podManagementPolicy", "Parallel"},
                 {"updateStrategy", {{"type", "OnDelete"}}},
                 {"ordinals", {{"start", pool.first_node_id}}},
                 {"persistentVolumeClaimRetentionPolicy",
                  {{"whenDeleted", deletes ? "Delete" : "Retain"},
                   {"whenScaled", deletes ? "Delete" : "Retain"}}},
                 {"selector", {{"matchLabels", selector}}},
                 {"template",
                  {{"metadata", {{"labels", labels}, {"annotations", annotations}}},
                   {"spec", pod_spec(cluster, pool)}}},
                 {"volumeClaimTemplates", json::array({volume_claim(pool)})}};
  return out;
}

}  // namespace op::model::detail
