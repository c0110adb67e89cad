#include "operator/model/names.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace op::model {

namespace {

const std::string& cluster_name(const api::Cluster& cluster) { return cluster.metadata.name; }

std::string with_id(std::string text, std::int32_t node_id) {
  static constexpr std::string_view kPlaceholder = "{id}";
  const std::string id = std::to_string(node_id);
  for (auto at = text.find(kPlaceholder); at != std::string::npos;
       at = text.find(kPlaceholder, at + id.size()))
    text.replace(at, kPlaceholder.size(), id);
  return text;
}

bool depends_on_id(const std::string& text) { return text.find("{id}") != std::string::npos; }

bool is_ip(const std::string& host) {
  if (host.find(':') != std::string::npos) return true;
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::int32_t to_port(const std::string& text, std::int32_t otherwise) {
  std::int32_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc{} && end == text.data() + text.size() && port > 0 && port < 65536
             ? port
             : otherwise;
}

bool is_exposed(const api::ListenerSpec& listener) {
  return listener.expose.type != api::ExposeType::kClusterIp;
}

/// "orders-bootstrap", and with ".kafka", ".kafka.svc", ".kafka.svc.cluster.local".
void add_service_names(std::set<std::string>& names, const std::string& host,
                       const std::string& ns) {
  for (const char* suffix : {"", ".svc", ".svc.cluster.local"})
    names.insert(host + "." + ns + suffix);
  names.insert(host);
}

}  // namespace

std::string headless_service(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-brokers";
}
std::string bootstrap_service(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-bootstrap";
}
std::string service_account(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-broker";
}
std::string external_bootstrap_service(const api::Cluster& cluster,
                                       const api::ListenerSpec& listener) {
  return bootstrap_service(cluster) + "-" + listener.name;
}
std::string external_broker_service(const api::Cluster& cluster, const api::ListenerSpec& listener,
                                    std::int32_t node_id) {
  return cluster_name(cluster) + "-" + listener.name + "-" + std::to_string(node_id);
}
std::string pool_name(const api::Cluster& cluster, const api::PoolSpec& pool) {
  return cluster_name(cluster) + "-" + pool.name;
}
std::string config_map(const api::Cluster& cluster, const api::PoolSpec& pool) {
  return pool_name(cluster, pool);
}
std::string broker_secret(const api::Cluster& cluster, const api::PoolSpec& pool) {
  return pool_name(cluster, pool) + "-certs";
}
std::string cluster_ca_secret(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-cluster-ca";
}
std::string users_ca_secret(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-users-ca";
}
std::string operator_secret(const api::Cluster& cluster) {
  return cluster_name(cluster) + "-operator-client";
}
std::string pod_name(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id) {
  return pool_name(cluster, pool) + "-" + std::to_string(node_id);
}
std::string pod_host(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id) {
  return pod_name(cluster, pool, node_id) + "." + headless_service(cluster) + "." +
         cluster.metadata.namespace_ + ".svc";
}

std::vector<std::int32_t> node_ids(const api::PoolSpec& pool) {
  std::vector<std::int32_t> out;
  for (std::int32_t i = 0; i < pool.replicas; ++i) out.push_back(pool.first_node_id + i);
  return out;
}

std::int32_t broker_count(const api::Cluster& cluster) {
  std::int32_t count = 0;
  for (const api::PoolSpec& pool : cluster.spec.pools)
    if (pool.has_role(api::Role::kBroker)) count += pool.replicas;
  return count;
}

std::int32_t default_min_insync(const api::Cluster& cluster) {
  return broker_count(cluster) >= 3 ? 2 : 1;
}

const api::PoolSpec* pool_of(const api::Cluster& cluster, std::int32_t node_id) {
  for (const api::PoolSpec& pool : cluster.spec.pools)
    if (node_id >= pool.first_node_id && node_id < pool.first_node_id + pool.replicas) return &pool;
  return nullptr;
}

const api::NodePlacement* placement_of(const api::Cluster& cluster, std::int32_t node_id) {
  for (const api::NodePlacement& placement : cluster.status.placements)
    if (placement.node_id == node_id) return &placement;
  return nullptr;
}

std::map<std::string, std::string> selector_labels(const api::Cluster& cluster) {
  return {{"app.kubernetes.io/name", "millrace-broker"},
          {std::string(kClusterLabel), cluster_name(cluster)}};
}

std::map<std::string, std::string> object_labels(const api::Cluster& cluster) {
  auto labels = selector_labels(cluster);
  labels["app.kubernetes.io/instance"] = cluster_name(cluster);
  labels["app.kubernetes.io/part-of"] = "millrace";
  labels["app.kubernetes.io/managed-by"] = "millrace-operator";
  return labels;
}

std::map<std::string, std::string> pool_labels(const api::Cluster& cluster,
                                               const api::PoolSpec& pool) {
  auto labels = object_labels(cluster);
  labels[std::string(kPoolLabel)] = pool.name;
  return labels;
}

std::string to_string(const Address& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Address advertised_address(const api::Cluster& cluster, const api::ListenerSpec& listener,
                           std::int32_t node_id) {
  if (!is_exposed(listener) || listener.expose.advertised_host.empty()) {
    const api::PoolSpec* pool = pool_of(cluster, node_id);
    return {pool ? pod_host(cluster, *pool, node_id) : std::string(), listener.port};
  }
  if (const auto chosen = listener.expose.node_ports.find(node_id);
      chosen != listener.expose.node_ports.end())
    return {listener.expose.advertised_host, chosen->second};
  const std::int32_t node_port = listener.expose.broker_base_port.value_or(0) + node_id;
  return {with_id(listener.expose.advertised_host, node_id),
          to_port(with_id(listener.expose.advertised_port, node_id), node_port)};
}

std::vector<Address> bootstrap_addresses(const api::Cluster& cluster,
                                         const api::ListenerSpec& listener) {
  const api::ExposeSpec& expose = listener.expose;
  if (!is_exposed(listener) || expose.advertised_host.empty())
    return {
        {bootstrap_service(cluster) + "." + cluster.metadata.namespace_ + ".svc", listener.port}};
  // One name for all brokers: the bootstrap port. A name for each: there is none for all of them.
  if (!depends_on_id(expose.advertised_host) && expose.advertised_port.empty() &&
      expose.node_ports.empty())
    return {{expose.advertised_host, expose.bootstrap_port.value_or(listener.port)}};
  std::vector<Address> out;
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    for (std::int32_t id : node_ids(pool)) {
      Address address = advertised_address(cluster, listener, id);
      if (std::find(out.begin(), out.end(), address) == out.end()) out.push_back(address);
    }
  }
  return out;
}

std::string bootstrap_servers(const api::Cluster& cluster, const api::ListenerSpec& listener) {
  std::string out;
  for (const Address& address : bootstrap_addresses(cluster, listener))
    out += (out.empty() ? "" : ",") + to_string(address);
  return out;
}

CertificateNames certificate_names(const api::Cluster& cluster, std::int32_t node_id) {
  std::set<std::string> dns{"localhost"};
  std::set<std::string> ips{"127.0.0.1"};
  const std::string& ns = cluster.metadata.namespace_;
  if (const api::PoolSpec* pool = pool_of(cluster, node_id))
    add_service_names(dns, pod_name(cluster, *pool, node_id) + "." + headless_service(cluster), ns);
  add_service_names(dns, bootstrap_service(cluster), ns);
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    if (!is_exposed(listener)) continue;
    add_service_names(dns, external_bootstrap_service(cluster, listener), ns);
    const std::string host = advertised_address(cluster, listener, node_id).host;
    (is_ip(host) ? ips : dns).insert(host);
  }
  return {{dns.begin(), dns.end()}, {ips.begin(), ips.end()}};
}

std::vector<std::string> dialled_hosts(const api::Cluster& cluster,
                                       const api::ListenerSpec& listener) {
  std::set<std::string> hosts;
  for (const Address& address : bootstrap_addresses(cluster, listener)) hosts.insert(address.host);
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    for (const std::int32_t id : node_ids(pool))
      hosts.insert(advertised_address(cluster, listener, id).host);
  }
  return {hosts.begin(), hosts.end()};
}

}  // namespace op::model
