#include "operator/model/cluster_objects.h"

#include "operator/model/render.h"

namespace op::model {

using nlohmann::json;

namespace detail {

json owned(const api::Cluster& cluster, const char* api_version, const char* kind,
           const std::string& name, const std::map<std::string, std::string>& labels) {
  return {{"apiVersion", api_version},
          {"kind", kind},
          {"metadata",
           {{"name", name},
            {"namespace", cluster.metadata.namespace_},
            {"labels", labels},
            {"ownerReferences", json::array({{{"apiVersion", api::kApiVersion},
                                              {"kind", api::Cluster::kKind},
                                              {"name", cluster.metadata.name},
                                              {"uid", cluster.metadata.uid},
                                              {"controller", true}}})}}}};
}

json parse_raw(const api::RawJson& text) { return json::parse(text, nullptr, false); }

json disruption_budget(const api::Cluster& cluster) {
  json out = owned(cluster, "policy/v1", "PodDisruptionBudget", cluster.metadata.name + "-brokers",
                   object_labels(cluster));
  // One at a time; a broker that is not ready protects nothing, so it may always go.
  out["spec"] = {{"maxUnavailable", 1},
                 {"unhealthyPodEvictionPolicy", "AlwaysAllow"},
                 {"selector", {{"matchLabels", selector_labels(cluster)}}}};
  return out;
}

namespace {

json port_of(std::int32_t port) { return {{"protocol", "TCP"}, {"port", port}}; }

}  // namespace

json network_policy(const ClusterInputs& inputs) {
  const api::Cluster& cluster = inputs.cluster;
  json operator_peer = {
      {"namespaceSelector",
       {{"matchLabels", {{"kubernetes.io/metadata.name", inputs.operator_namespace}}}}}};
  if (!inputs.operator_labels.empty())
    operator_peer["podSelector"] = {{"matchLabels", inputs.operator_labels}};
  const json own_peer = {{"podSelector", {{"matchLabels", selector_labels(cluster)}}}};
  json ingress = json::array();
  ingress.push_back({{"ports", {port_of(kControllerPort), port_of(kInternalPort)}},
                     {"from", {own_peer, operator_peer}}});
  ingress.push_back({{"ports", json::array({port_of(kHttpPort)})}});
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    json rule = {{"ports", json::array({port_of(listener.port)})}};
    if (listener.allow_from) {
      if (json peers = parse_raw(*listener.allow_from); peers.is_array() && !peers.empty()) {
        rule["from"] = std::move(peers);
        // It has to see which CA the listener trusts.
        if (listener.accepts(api::ListenerAuth::kMtls)) rule["from"].push_back(operator_peer);
      }
    }
    ingress.push_back(std::move(rule));
  }
  json out = owned(cluster, "networking.k8s.io/v1", "NetworkPolicy",
                   cluster.metadata.name + "-brokers", object_labels(cluster));
  out["spec"] = {{"podSelector", {{"matchLabels", selector_labels(cluster)}}},
                 {"policyTypes", {"Ingress"}},
                 {"ingress", std::move(ingress)}};
  return out;
}

}  // namespace detail

std::vector<json> render_cluster(const ClusterInputs& inputs) {
  const api::Cluster& cluster = inputs.cluster;
  std::vector<json> out;
  json account = detail::owned(cluster, "v1", "ServiceAccount", service_account(cluster),
                               object_labels(cluster));
  account["automountServiceAccountToken"] = false;
  out.push_back(std::move(account));
  for (json& service : detail::services(cluster)) out.push_back(std::move(service));
  out.push_back(detail::network_policy(inputs));
  out.push_back(detail::disruption_budget(cluster));
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    out.push_back(detail::config_map_object(cluster, pool));
    out.push_back(detail::stateful_set(cluster, pool));
  }
  return out;
}

std::string resolve_image(const api::ImageSpec& image, const std::string& default_image) {
  // [registry/]repository[:tag|@digest]; the first part is a registry when it could not be a
  // repository of the default one.
  std::string rest = default_image;
  std::string version;
  if (const auto at = rest.find('@'); at != std::string::npos) {
    version = rest.substr(at);
    rest.resize(at);
  } else if (const auto colon = rest.rfind(':');
             colon != std::string::npos && rest.find('/', colon) == std::string::npos) {
    version = rest.substr(colon);
    rest.resize(colon);
  }
  std::string registry;
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    const std::string first = rest.substr(0, slash);
    if (first == "localhost" || first.find_first_of(".:") != std::string::npos) {
      registry = first;
      rest = rest.substr(slash + 1);
    }
  }
  if (!image.registry.empty()) registry = image.registry;
  if (!image.repository.empty()) rest = image.repository;
  if (!image.tag.empty()) version = ":" + image.tag;
  if (!image.digest.empty()) version = "@" + image.digest;
  return (registry.empty() ? "" : registry + "/") + rest + version;
}

}  // namespace op::model
