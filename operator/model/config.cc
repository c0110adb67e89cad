#include <algorithm>

#include "broker/config/config_def.h"
#include "broker/config/properties.h"
#include "operator/model/render.h"
#include "operator/model/secrets.h"

namespace op::model {

using nlohmann::json;

namespace {

constexpr std::string_view kUserOfCertificate = "RULE:^CN=([a-zA-Z0-9._@-]+)$/$1/";

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// Lines of a properties file in the order in which they are added.
class Properties {
 public:
  explicit Properties(const std::string& comment) : text_("# " + comment + "\n") {}
  void add(std::string_view key, std::string_view value) {
    text_ += broker::config::format_property(key, value);
    if (text_.back() != '\n') text_ += '\n';
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void append(std::string& list, const std::string& element, const char* separator = ",") {
  if (!list.empty()) list += separator;
  list += element;
}

std::string controllers(const api::Cluster& cluster) {
  std::string out;
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    if (!pool.has_role(api::Role::kController)) continue;
    for (std::int32_t id : node_ids(pool))
      append(out, to_string(Address{pod_host(cluster, pool, id), kControllerPort}));
  }
  return out;
}

std::string roles(const api::PoolSpec& pool) {
  std::string out;
  if (pool.has_role(api::Role::kBroker)) append(out, "broker");
  if (pool.has_role(api::Role::kController)) append(out, "controller");
  return out;
}

std::string certs_file(std::string_view name) {
  return std::string(detail::kCertsDir) + "/" + std::string(name);
}

void add_machinery_listener(Properties& out, const std::string& name) {
  const std::string prefix = "listener.name." + name + ".";
  out.add(prefix + "ssl.client.auth", "required");
  out.add(prefix + "ssl.truststore.type", "PEM");
  out.add(prefix + "ssl.truststore.location", certs_file("cluster-ca.crt"));
}

void add_user_listener(Properties& out, const api::ListenerSpec& listener) {
  const std::string prefix = "listener.name." + listener.name + ".";
  std::string mechanisms;
  for (const auto& accepted : listener.authentication) {
    if (const auto mechanism = api::sasl_mechanism(accepted.type); !mechanism.empty())
      append(mechanisms, std::string(mechanism));
  }
  if (!mechanisms.empty()) out.add(prefix + "sasl.enabled.mechanisms", mechanisms);
  if (!listener.tls) return;
  out.add(prefix + "ssl.enabled.protocols",
          listener.tls->min_version == api::TlsVersion::kTls13 ? "TLSv1.3" : "TLSv1.2,TLSv1.3");
  std::string suites;
  for (const std::string& suite : listener.tls->cipher_suites) append(suites, suite);
  if (!suites.empty()) out.add(prefix + "ssl.cipher.suites", suites);
  if (listener.accepts(api::ListenerAuth::kMtls)) {
    // Users come from a CA of their own, so that none of them can pose as a broker.
    out.add(prefix + "ssl.client.auth", "required");
    out.add(prefix + "ssl.truststore.type", "PEM");
    out.add(prefix + "ssl.truststore.location", certs_file("users-ca.crt"));
    out.add(prefix + "ssl.principal.mapping.rules", kUserOfCertificate);
  } else {
    out.add(prefix + "ssl.client.auth", "none");
  }
}

void add_listeners(Properties& out, const api::Cluster& cluster, const api::PoolSpec& pool) {
  std::string listeners;
  std::string protocols = "CONTROLLER:SSL,INTERNAL:SSL";
  if (pool.has_role(api::Role::kController))
    append(listeners, "CONTROLLER://:" + std::to_string(kControllerPort));
  if (pool.has_role(api::Role::kBroker)) {
    append(listeners, "INTERNAL://:" + std::to_string(kInternalPort));
    for (const api::ListenerSpec& listener : cluster.spec.listeners) {
      append(listeners, upper(listener.name) + "://:" + std::to_string(listener.port));
      append(protocols, upper(listener.name) + ":" + std::string(api::security_protocol(listener)));
    }
    out.add("inter.broker.listener.name", "INTERNAL");
  }
  out.add("controller.listener.names", "CONTROLLER");
  out.add("listeners", listeners);
  out.add("listener.security.protocol.map", protocols);
  out.add("ssl.keystore.type", "PEM");
  add_machinery_listener(out, "controller");
  if (!pool.has_role(api::Role::kBroker)) return;
  add_machinery_listener(out, "internal");
  for (const api::ListenerSpec& listener : cluster.spec.listeners) add_user_listener(out, listener);
}

void add_authorization(Properties& out, const api::Cluster& cluster) {
  if (cluster.spec.authorization.type != api::AuthorizationType::kSimple) return;
  out.add("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
  out.add("allow.everyone.if.no.acl.found", "false");
  std::string super_users =
      "User:CN=" + std::string(kBrokerCommonName) + ";User:CN=" + std::string(kOperatorCommonName);
  for (const std::string& user : cluster.spec.authorization.super_users)
    append(super_users, user, ";");
  out.add("super.users", super_users);
}

/// Keys that a running broker takes up are set through the protocol (plan_dynamic_config); in the
/// file they would outlive their removal until the next restart.
bool is_dynamic(const std::string& key) {
  const broker::config::ConfigKey* known = broker::config::ConfigDef::broker().find(key);
  return known && known->update == broker::config::UpdateMode::kClusterWide;
}

std::map<std::string, std::string> static_config(const api::Cluster& cluster) {
  const std::int32_t brokers = broker_count(cluster);
  const std::string copies = std::to_string(std::min<std::int32_t>(3, brokers));
  const std::string in_sync = std::to_string(default_min_insync(cluster));
  std::map<std::string, std::string> out{
      {"auto.create.topics.enable", "false"},
      // A broker that hangs is replaced after this long; one that dies is noticed at once anyway.
      {"broker.heartbeat.interval.ms", "500"},
      {"broker.session.timeout.ms", "2000"},
      {"default.replication.factor", copies},
      {"min.insync.replicas", in_sync},
      {"offsets.topic.replication.factor", copies},
      {"transaction.state.log.replication.factor", copies},
      {"transaction.state.log.min.isr", in_sync},
      {"share.coordinator.state.topic.replication.factor", copies},
      {"share.coordinator.state.topic.min.isr", in_sync},
  };
  for (const auto& [key, value] : cluster.spec.config)
    if (!is_dynamic(key)) out[key] = value;
  return out;
}

std::string digest(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a: stable for ever, and nobody attacks it
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ULL;
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(hash >> shift) & 15];
  return out;
}

json declared_template(const api::PodTemplate& pod) {
  const auto raw = [](const std::optional<api::RawJson>& text) {
    return text ? detail::parse_raw(*text) : json();
  };
  return {{"labels", pod.labels},
          {"annotations", pod.annotations},
          {"nodeSelector", pod.node_selector},
          {"priorityClassName", pod.priority_class_name.value_or("")},
          {"grace", pod.termination_grace_period_seconds.value_or(0)},
          {"affinity", raw(pod.affinity)},
          {"tolerations", raw(pod.tolerations)},
          {"spread", raw(pod.topology_spread_constraints)},
          {"env", raw(pod.env)},
          {"sidecars", raw(pod.sidecars)},
          {"volumes", raw(pod.volumes)}};
}

/// As the brokers read it at start. Certificates and allowFrom are taken up without a restart.
json declared_listener(const api::Cluster& cluster, const api::PoolSpec& pool,
                       const api::ListenerSpec& listener) {
  json authentication = json::array();
  for (const auto& accepted : listener.authentication)
    authentication.push_back(static_cast<int>(accepted.type));
  json out = {{"name", listener.name},
              {"port", listener.port},
              {"authentication", std::move(authentication)},
              {"tls", nullptr}};
  if (listener.tls)
    out["tls"] = {{"min", static_cast<int>(listener.tls->min_version)},
                  {"suites", listener.tls->cipher_suites}};
  // Of the first node: the others follow the same template, and a scale-up must restart nobody.
  out["advertised"] = to_string(advertised_address(cluster, listener, pool.first_node_id));
  return out;
}

}  // namespace

std::string server_properties(const api::Cluster& cluster, const api::PoolSpec& pool) {
  Properties out("Written by the Millrace operator for Cluster " +
                 api::to_string(cluster.metadata.object_name()) + ", pool " + pool.name);
  out.add("process.roles", roles(pool));
  out.add("controller.quorum.bootstrap.servers", controllers(cluster));
  add_listeners(out, cluster, pool);
  add_authorization(out, cluster);
  for (const auto& [key, value] : static_config(cluster)) out.add(key, value);
  return out.take();
}

std::string node_properties(const api::Cluster& cluster, const api::PoolSpec& pool,
                            std::int32_t node_id) {
  Properties out("Laid over server.properties by node " + std::to_string(node_id));
  out.add("node.id", std::to_string(node_id));
  const std::string host = pod_host(cluster, pool, node_id);
  std::string advertised;
  if (pool.has_role(api::Role::kController))
    append(advertised, "CONTROLLER://" + to_string(Address{host, kControllerPort}));
  if (pool.has_role(api::Role::kBroker)) {
    append(advertised, "INTERNAL://" + to_string(Address{host, kInternalPort}));
    for (const api::ListenerSpec& listener : cluster.spec.listeners)
      append(advertised, upper(listener.name) + "://" +
                             to_string(advertised_address(cluster, listener, node_id)));
  }
  out.add("advertised.listeners", advertised);
  if (pool.has_role(api::Role::kBroker)) {
    if (const auto* placement = placement_of(cluster, node_id);
        placement && !placement->rack.empty())
      out.add("broker.rack", placement->rack);
  }
  out.add("log.dirs", std::string(detail::kDataDir) + "/kafka-log" + std::to_string(node_id));
  out.add("ssl.keystore.location", certs_file(broker_keystore_key(node_id)));
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    if (pool.has_role(api::Role::kBroker) && listener.tls)
      out.add("listener.name." + listener.name + ".ssl.keystore.location",
              certs_file(listener_keystore_key(node_id, listener.name)));
  }
  return out.take();
}

bool awaits_rack(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id) {
  return cluster.spec.rack_topology_key && pool.has_role(api::Role::kBroker) &&
         placement_of(cluster, node_id) == nullptr;
}

std::string cluster_json(const api::Cluster& cluster) {
  json controllers = json::array();
  for (const api::InitialController& controller : cluster.status.initial_controllers) {
    const api::PoolSpec* pool = pool_of(cluster, controller.node_id);
    if (!pool) continue;
    controllers.push_back({{"id", controller.node_id},
                           {"directoryId", controller.directory_id},
                           {"host", pod_host(cluster, *pool, controller.node_id)},
                           {"port", kControllerPort},
                           {"formatted", cluster.status.formatted || controller.formatted}});
  }
  return json{{"clusterId", cluster.status.cluster_id},
              {"formatted", cluster.status.formatted},
              {"initialControllers", std::move(controllers)}}
             .dump(2) +
         "\n";
}

std::string declared_digest(const api::Cluster& cluster, const api::PoolSpec& pool) {
  json declared = {{"image", cluster.status.image},
                   {"pullPolicy", cluster.spec.image.pull_policy},
                   {"pullSecrets", cluster.spec.image.pull_secrets},
                   {"requests", pool.resources.requests},
                   {"limits", pool.resources.limits},
                   {"template", declared_template(pool.template_)},
                   {"authorization", static_cast<int>(cluster.spec.authorization.type)},
                   {"superUsers", cluster.spec.authorization.super_users}};
  // Only where it is used: the digest of every other cluster stays what it was.
  if (cluster.spec.rack_topology_key && pool.has_role(api::Role::kBroker))
    declared["rack"] = *cluster.spec.rack_topology_key;
  if (const std::string* restart = cluster.metadata.annotation(kRestartAnnotation))
    declared["restart"] = *restart;
  json& config = declared["config"] = json::object();
  for (const auto& [key, value] : cluster.spec.config)
    if (!is_dynamic(key)) config[key] = value;
  json& listeners = declared["listeners"] = json::array();
  for (const api::ListenerSpec& listener : cluster.spec.listeners)
    listeners.push_back(declared_listener(cluster, pool, listener));
  return digest(declared.dump());
}

namespace detail {

json config_map_object(const api::Cluster& cluster, const api::PoolSpec& pool) {
  json out =
      owned(cluster, "v1", "ConfigMap", config_map(cluster, pool), pool_labels(cluster, pool));
  json& data = out["data"];
  data["server.properties"] = server_properties(cluster, pool);
  data["cluster.json"] = cluster_json(cluster);
  for (std::int32_t id : node_ids(pool)) {
    // A broker waits for its file: registered without its rack it would have to start again.
    if (awaits_rack(cluster, pool, id)) continue;
    data[std::to_string(id) + ".properties"] = node_properties(cluster, pool, id);
  }
  return out;
}

}  // namespace detail

}  // namespace op::model
