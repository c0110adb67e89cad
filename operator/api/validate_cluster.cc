#include <algorithm>
#include <array>
#include <set>

#include "broker/config/config_def.h"
#include "broker/security/types.h"
#include "operator/api/cron.h"
#include "operator/api/quantity.h"
#include "operator/api/validate_internal.h"

namespace op::api {

using detail::Findings;

namespace {

std::string pool_field(const PoolSpec& pool, std::string_view field) {
  return "spec.pools[" + pool.name + "]." + std::string(field);
}
std::string listener_field(const ListenerSpec& listener, std::string_view field) {
  return "spec.listeners[" + listener.name + "]." + std::string(field);
}

void check_pool(const PoolSpec& pool, Findings& findings) {
  if (pool.storage.volumes.empty())
    findings.invalid(pool_field(pool, "storage.volumes"), "needs at least one volume");
  for (const VolumeSpec& volume : pool.storage.volumes) {
    if (const auto size = parse_bytes(volume.size); !size.ok())
      findings.invalid(pool_field(pool, "storage.volumes[" + volume.name + "].size"),
                       size.error().detail);
  }
  if (pool.storage.volumes.size() > 1)
    findings.not_yet(pool_field(pool, "storage.volumes"), "a broker has one volume for now");
  if (pool.replicas < 0) findings.invalid(pool_field(pool, "replicas"), "must be at least 0");
}

std::set<std::int32_t> nodes_of(const std::vector<PoolSpec>& pools, std::optional<Role> role) {
  std::set<std::int32_t> out;
  for (const PoolSpec& pool : pools) {
    if (role && !pool.has_role(*role)) continue;
    for (std::int32_t i = 0; i < pool.replicas; ++i) out.insert(pool.first_node_id + i);
  }
  return out;
}

std::int32_t replicas_of(const std::vector<PoolSpec>& pools, Role role) {
  std::int32_t out = 0;
  for (const PoolSpec& pool : pools)
    if (pool.has_role(role)) out += pool.replicas;
  return out;
}

void check_node_ids(const ClusterSpec& spec, Findings& findings) {
  std::size_t replicas = 0;
  for (const PoolSpec& pool : spec.pools) replicas += std::max(pool.replicas, 0);
  if (nodes_of(spec.pools, std::nullopt).size() != replicas)
    findings.invalid("spec.pools",
                     "pools must not share node ids: give each its own firstNodeId, such as 0, "
                     "1000, 2000");
}

/// An even number survives no more failures than the odd one below it, and more than five vote
/// slowly.
void check_quorum(const ClusterSpec& spec, Findings& findings) {
  const auto has_pool = [&](Role role) {
    return std::any_of(spec.pools.begin(), spec.pools.end(),
                       [role](const PoolSpec& pool) { return pool.has_role(role); });
  };
  if (has_pool(Role::kBroker) && replicas_of(spec.pools, Role::kBroker) == 0)
    findings.invalid("spec.pools", "a cluster has at least one broker");
  if (!has_pool(Role::kController)) return;
  const std::int32_t controllers = replicas_of(spec.pools, Role::kController);
  if (controllers == 1 || controllers == 3 || controllers == 5) return;
  findings.invalid("spec.pools", "a quorum has 1, 3 or 5 controllers, these pools have " +
                                     std::to_string(controllers) +
                                     ": for another number of brokers, give the controllers a pool "
                                     "of their own");
}

std::string listed(const std::set<std::int32_t>& ids) {
  std::string out;
  for (const std::int32_t id : ids) out += (out.empty() ? "" : ", ") + std::to_string(id);
  return out;
}

/// What is declared of a pool is needed until its last node is gone.
void check_removed_pools(const Cluster& cluster, Findings& findings) {
  for (const PoolStatus& known : cluster.status.pools) {
    const auto& pools = cluster.spec.pools;
    const bool declared = std::any_of(
        pools.begin(), pools.end(), [&](const PoolSpec& pool) { return pool.name == known.name; });
    if (declared || known.node_ids.empty()) continue;
    findings.invalid("spec.pools", "pool " + known.name + " still has node " +
                                       listed({known.node_ids.begin(), known.node_ids.end()}) +
                                       ": set its replicas to 0, and remove it when they are gone");
  }
}

void check_pools(const ClusterSpec& spec, Findings& findings) {
  if (spec.pools.empty()) findings.invalid("spec.pools", "needs at least one pool");
  std::set<std::string> names;
  for (const PoolSpec& pool : spec.pools) {
    if (!names.insert(pool.name).second)
      findings.invalid("spec.pools", "two pools are named " + pool.name);
    check_pool(pool, findings);
  }
  for (Role role : {Role::kController, Role::kBroker}) {
    if (!spec.pools.empty() && std::none_of(spec.pools.begin(), spec.pools.end(),
                                            [&](const auto& p) { return p.has_role(role); }))
      findings.invalid("spec.pools", role == Role::kBroker ? "no pool has the role Broker"
                                                           : "no pool has the role Controller");
  }
  check_node_ids(spec, findings);
  check_quorum(spec, findings);
}

void check_authentication(const ListenerSpec& listener, Findings& findings) {
  const std::string field = listener_field(listener, "authentication");
  if (listener.authentication.size() > 1 &&
      (listener.accepts(ListenerAuth::kNone) || listener.accepts(ListenerAuth::kMtls)))
    findings.invalid(field, "None and Mtls stand alone");
  if (listener.accepts(ListenerAuth::kMtls) && !listener.tls)
    findings.invalid(field, "Mtls needs tls");
  if (listener.accepts(ListenerAuth::kPlain) && !listener.tls)
    findings.invalid(field, "Plain without tls sends passwords in clear");
  if (listener.accepts(ListenerAuth::kPlain))
    findings.not_yet(field, "Plain: users are kept as SCRAM credentials, use ScramSha512");
  if (listener.accepts(ListenerAuth::kOAuthBearer)) findings.not_yet(field, "OAuthBearer");
}

void check_expose(const ListenerSpec& listener, Findings& findings) {
  const ExposeSpec& expose = listener.expose;
  if (expose.type == ExposeType::kLoadBalancer)
    findings.not_yet(listener_field(listener, "expose.type"), "LoadBalancer");
  if (expose.type == ExposeType::kNodePort &&
      (!expose.bootstrap_port || !expose.broker_base_port || expose.advertised_host.empty()))
    findings.invalid(listener_field(listener, "expose"),
                     "NodePort needs bootstrapPort, brokerBasePort and advertisedHost");
}

void check_listeners(const ClusterSpec& spec, Findings& findings) {
  static constexpr std::array<std::int32_t, 3> kReservedPorts{9090, 9091, 9404};
  std::set<std::string> names;
  std::set<std::int32_t> ports;
  for (const ListenerSpec& listener : spec.listeners) {
    if (!names.insert(listener.name).second)
      findings.invalid("spec.listeners", "two listeners are named " + listener.name);
    if (!ports.insert(listener.port).second)
      findings.invalid(listener_field(listener, "port"), "another listener has this port");
    if (std::find(kReservedPorts.begin(), kReservedPorts.end(), listener.port) !=
        kReservedPorts.end())
      findings.invalid(listener_field(listener, "port"), "9090, 9091 and 9404 are reserved");
    if (listener.name == "controller" || listener.name == "internal" ||
        listener.name == "prometheus")
      findings.invalid(listener_field(listener, "name"), "the brokers have one of that name");
    if (listener.port < 1 || listener.port > 65535)
      findings.invalid(listener_field(listener, "port"), "must be from 1 to 65535");
    if (listener.name.size() > 11 || !detail::consists_of(listener.name, ""))
      findings.invalid(listener_field(listener, "name"), "wants at most 11 letters and digits");
    check_authentication(listener, findings);
    check_expose(listener, findings);
  }
}

/// Keys that follow from other parts of the resource.
bool is_managed_key(std::string_view key) {
  static constexpr std::array<std::string_view, 12> kKeys{
      "listeners",        "node.id",          "broker.id",
      "process.roles",    "log.dir",          "log.dirs",
      "metadata.log.dir", "super.users",      "authorizer.class.name",
      "broker.rack",      "config.providers", "allow.everyone.if.no.acl.found"};
  static constexpr std::array<std::string_view, 10> kPrefixes{"listener.",
                                                              "advertised.",
                                                              "controller.quorum.",
                                                              "controller.listener.",
                                                              "inter.broker.listener.",
                                                              "security.inter.broker.",
                                                              "ssl.",
                                                              "sasl.",
                                                              "early.start.",
                                                              "principal.builder."};
  if (std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end()) return true;
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [key](std::string_view prefix) { return key.starts_with(prefix); });
}

void check_config(const ClusterSpec& spec, Findings& findings) {
  static constexpr std::array<std::string_view, 4> kReplicaCounts{
      "min.insync.replicas", "default.replication.factor", "offsets.topic.replication.factor",
      "transaction.state.log.replication.factor"};
  const std::int64_t brokers = replicas_of(spec.pools, Role::kBroker);
  for (const auto& [key, value] : spec.config) {
    const std::string field = "spec.config[" + key + "]";
    if (is_managed_key(key)) {
      findings.invalid(field, "is set by the operator from the rest of the resource");
      continue;
    }
    const broker::config::ConfigKey* known = broker::config::ConfigDef::broker().find(key);
    if (!known) {
      findings.invalid(field, "is no configuration key of a Kafka broker");
      continue;
    }
    if (const auto valid = broker::config::validate(*known, value); !valid.ok()) {
      findings.invalid(field, valid.error().detail);
      continue;
    }
    if (std::find(kReplicaCounts.begin(), kReplicaCounts.end(), key) != kReplicaCounts.end() &&
        broker::config::to_integer(value) > brokers)
      findings.invalid(
          field, value + " is more than the brokers there are (" + std::to_string(brokers) + ")");
  }
}

void check_authorization(const ClusterSpec& spec, Findings& findings) {
  for (const std::string& principal : spec.authorization.super_users) {
    const auto parsed = broker::security::parse_principal(principal);
    if (!parsed.ok() || parsed->name.empty() || principal.find(';') != std::string::npos)
      findings.invalid("spec.authorization.superUsers",
                       "\"" + principal + "\" wants a type and a name, like \"User:admin\"");
    else if (is_reserved_principal(principal))
      findings.invalid("spec.authorization.superUsers", "\"" + principal + "\" is reserved");
  }
  detail::check_tenants(spec.tenants, findings);
}

void check_day_two(const ClusterSpec& spec, Findings& findings) {
  if (spec.version != "1.0")
    findings.not_yet("spec.version", "\"" + spec.version + "\"; this operator runs 1.0");
  if (spec.upgrade.roll_by == RollUnit::kRack) findings.not_yet("spec.upgrade.rollBy", "Rack");
  if (spec.upgrade.soak.count() > 0)
    findings.not_yet("spec.upgrade.soak", "a roll ends when the last broker is back");
  for (std::size_t i = 0; i < spec.maintenance_windows.size(); ++i) {
    const MaintenanceWindow& window = spec.maintenance_windows[i];
    const std::string field = "spec.maintenanceWindows[" + std::to_string(i) + "]";
    if (const auto schedule = parse_cron(window.schedule); !schedule.ok())
      findings.invalid(field + ".schedule", schedule.error().detail);
    if (window.duration < std::chrono::minutes{1} || window.duration > std::chrono::hours{24 * 31})
      findings.invalid(field + ".duration", "must be from 1m to 31d");
  }
  if (spec.certificates.leaf_validity < std::chrono::seconds{30})
    findings.invalid("spec.certificates.leafValidity", "must be at least 30s");
  for (const CaSpec* ca : {&spec.certificates.cluster_ca, &spec.certificates.users_ca}) {
    if ((ca->type == CaType::kSecret) == ca->secret.empty())
      findings.invalid("spec.certificates", "type Secret and secretRef go together");
    if (ca->type == CaType::kManaged && ca->validity <= spec.certificates.leaf_validity)
      findings.invalid("spec.certificates", "a CA must outlive the certificates it signs");
  }
  if (const auto& throttle = spec.rebalance.throttle_bytes_per_second; throttle && *throttle <= 0)
    findings.invalid("spec.rebalance.throttle", "must be more than nothing, or nothing ever moves");
  if (spec.recovery.adopt_volumes) findings.not_yet("spec.recovery.adoptVolumes", "true");
  if (spec.recovery.replace_lost_nodes) findings.not_yet("spec.recovery.replaceLostNodes", "true");
  if (spec.hibernate) findings.not_yet("spec.hibernate", "true");
}

/// Names become parts of the names of pods and Services, which are DNS labels.
bool is_label(const std::string& name, std::size_t longest) {
  static constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !name.empty() && name.size() <= longest && name.front() >= 'a' && name.front() <= 'z' &&
         name.back() != '-' && name.find_first_not_of(kAllowed) == std::string::npos;
}

void check_names(const Cluster& cluster, Findings& findings) {
  if (!is_label(cluster.metadata.name, 30))
    findings.invalid("metadata.name",
                     "must begin with a letter, hold only a-z, 0-9 and '-', and be at most 30 "
                     "characters long");
  for (const PoolSpec& pool : cluster.spec.pools) {
    if (!is_label(pool.name, 20))
      findings.invalid(pool_field(pool, "name"), "wants at most 20 of a-z, 0-9 and '-'");
  }
}

}  // namespace

std::vector<FieldError> validate(const Cluster& cluster) {
  Findings findings;
  check_names(cluster, findings);
  check_pools(cluster.spec, findings);
  check_removed_pools(cluster, findings);
  check_listeners(cluster.spec, findings);
  check_config(cluster.spec, findings);
  check_authorization(cluster.spec, findings);
  check_day_two(cluster.spec, findings);
  return findings.take();
}

}  // namespace op::api
