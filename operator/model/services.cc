#include "operator/model/render.h"

namespace op::model::detail {

using nlohmann::json;

namespace {

json service_port(const std::string& name, std::int32_t port) {
  return {{"name", name}, {"port", port}, {"targetPort", name}, {"protocol", "TCP"}};
}

std::string port_name(const api::ListenerSpec& listener) { return "tcp-" + listener.name; }

json headless(const api::Cluster& cluster) {
  json ports = {service_port("tcp-controller", kControllerPort),
                service_port("tcp-internal", kInternalPort)};
  for (const api::ListenerSpec& listener : cluster.spec.listeners)
    ports.push_back(service_port(port_name(listener), listener.port));
  ports.push_back(service_port("tcp-prometheus", kHttpPort));
  json out = owned(cluster, "v1", "Service", headless_service(cluster), object_labels(cluster));
  // Nodes find each other before they are ready: they cannot become so otherwise.
  out["spec"] = {{"type", "ClusterIP"},
                 {"clusterIP", "None"},
                 {"publishNotReadyAddresses", true},
                 {"selector", selector_labels(cluster)},
                 {"ports", std::move(ports)}};
  return out;
}

json bootstrap(const api::Cluster& cluster) {
  json ports = json::array();
  for (const api::ListenerSpec& listener : cluster.spec.listeners)
    ports.push_back(service_port(port_name(listener), listener.port));
  json out = owned(cluster, "v1", "Service", bootstrap_service(cluster), object_labels(cluster));
  out["spec"] = {
      {"type", "ClusterIP"}, {"selector", selector_labels(cluster)}, {"ports", std::move(ports)}};
  return out;
}

json node_port_service(const api::Cluster& cluster, const api::ListenerSpec& listener,
                       const std::string& name, std::int32_t node_port,
                       std::map<std::string, std::string> selector) {
  json port = service_port(port_name(listener), listener.port);
  port["nodePort"] = node_port;
  json out = owned(cluster, "v1", "Service", name, object_labels(cluster));
  if (!listener.expose.annotations.empty())
    out["metadata"]["annotations"] = listener.expose.annotations;
  out["spec"] = {
      {"type", "NodePort"}, {"selector", std::move(selector)}, {"ports", json::array({port})}};
  return out;
}

}  // namespace

std::vector<json> services(const api::Cluster& cluster) {
  std::vector<json> out{headless(cluster), bootstrap(cluster)};
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    const api::ExposeSpec& expose = listener.expose;
    if (expose.type != api::ExposeType::kNodePort) continue;
    out.push_back(node_port_service(cluster, listener,
                                    external_bootstrap_service(cluster, listener),
                                    expose.bootstrap_port.value_or(0), selector_labels(cluster)));
    for (const api::PoolSpec& pool : cluster.spec.pools) {
      if (!pool.has_role(api::Role::kBroker)) continue;
      for (std::int32_t id : node_ids(pool)) {
        auto selector = selector_labels(cluster);
        selector["statefulset.kubernetes.io/pod-name"] = pod_name(cluster, pool, id);
        json service =
            node_port_service(cluster, listener, external_broker_service(cluster, listener, id),
                              expose.broker_base_port.value_or(0) + id, std::move(selector));
        // Clients come when it leads again, a moment after it is ready: the way to it, which takes
        // the proxies of the nodes a second, must be there by then.
        service["spec"]["publishNotReadyAddresses"] = true;
        out.push_back(std::move(service));
      }
    }
  }
  return out;
}

}  // namespace op::model::detail
