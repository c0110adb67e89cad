#include "operator/api/cluster.h"
#include "operator/api/json_reader.h"

namespace op::api {

using broker::Result;
using detail::Names;
using detail::put;
using detail::Reader;
using nlohmann::json;

namespace {

constexpr Names<Role, 2> kRoles{{{"Controller", Role::kController}, {"Broker", Role::kBroker}}};
constexpr Names<VolumePolicy, 2> kVolumePolicies{
    {{"Retain", VolumePolicy::kRetain}, {"Delete", VolumePolicy::kDelete}}};
constexpr Names<TlsVersion, 2> kTlsVersions{
    {{"Tls12", TlsVersion::kTls12}, {"Tls13", TlsVersion::kTls13}}};
constexpr Names<ListenerAuth, 6> kListenerAuths{{{"None", ListenerAuth::kNone},
                                                 {"ScramSha256", ListenerAuth::kScramSha256},
                                                 {"ScramSha512", ListenerAuth::kScramSha512},
                                                 {"Plain", ListenerAuth::kPlain},
                                                 {"Mtls", ListenerAuth::kMtls},
                                                 {"OAuthBearer", ListenerAuth::kOAuthBearer}}};
constexpr Names<ExposeType, 3> kExposeTypes{{{"ClusterIP", ExposeType::kClusterIp},
                                             {"NodePort", ExposeType::kNodePort},
                                             {"LoadBalancer", ExposeType::kLoadBalancer}}};
constexpr Names<AuthorizationType, 2> kAuthorizations{
    {{"Simple", AuthorizationType::kSimple}, {"None", AuthorizationType::kNone}}};
constexpr Names<RollUnit, 2> kRollUnits{{{"Broker", RollUnit::kBroker}, {"Rack", RollUnit::kRack}}};
constexpr Names<UnsafeTopics, 2> kUnsafeTopics{
    {{"Warn", UnsafeTopics::kWarn}, {"Block", UnsafeTopics::kBlock}}};
constexpr Names<CaType, 2> kCaTypes{{{"Managed", CaType::kManaged}, {"Secret", CaType::kSecret}}};
constexpr Names<OnScale, 2> kOnScale{{{"Manual", OnScale::kManual}, {"Auto", OnScale::kAuto}}};

std::string read_secret_ref(Reader& parent, std::string_view field) {
  Reader ref = parent.object(field);
  return ref.present() ? ref.required_text("name") : std::string();
}

ImageSpec read_image(Reader image) {
  ImageSpec out;
  out.registry = image.text_or("registry");
  out.repository = image.text_or("repository");
  out.tag = image.text_or("tag");
  out.digest = image.text_or("digest");
  out.pull_policy = image.text_or("pullPolicy");
  out.pull_secrets =
      image.list("pullSecrets", [](Reader& secret) { return secret.required_text("name"); });
  return out;
}

PodTemplate read_template(Reader pod) {
  PodTemplate out;
  out.labels = pod.text_map("labels");
  out.annotations = pod.text_map("annotations");
  out.node_selector = pod.text_map("nodeSelector");
  out.priority_class_name = pod.text("priorityClassName");
  out.termination_grace_period_seconds = pod.integer("terminationGracePeriodSeconds");
  out.affinity = pod.raw("affinity", json::value_t::object);
  out.tolerations = pod.raw("tolerations", json::value_t::array);
  out.topology_spread_constraints = pod.raw("topologySpreadConstraints", json::value_t::array);
  out.env = pod.raw("env", json::value_t::array);
  out.sidecars = pod.raw("sidecars", json::value_t::array);
  out.volumes = pod.raw("volumes", json::value_t::array);
  return out;
}

StorageSpec read_storage(Reader storage) {
  StorageSpec out;
  out.volumes = storage.list("volumes", [](Reader& volume) {
    VolumeSpec read;
    read.name = volume.required_text("name");
    if (const auto size = volume.quantity("size"))
      read.size = *size;
    else
      volume.fail("size", "is required");
    read.storage_class_name = volume.text("storageClassName");
    return read;
  });
  out.on_delete = storage.choice<VolumePolicy>("onDelete", kVolumePolicies, VolumePolicy::kRetain);
  return out;
}

PoolSpec read_pool(Reader& pool) {
  PoolSpec out;
  out.name = pool.required_text("name");
  out.roles = pool.choices<Role>("roles", kRoles);
  if (out.roles.empty()) out.roles = {Role::kController, Role::kBroker};
  out.replicas = pool.int32("replicas").value_or(1);
  out.first_node_id = pool.int32("firstNodeId").value_or(0);
  out.storage = read_storage(pool.object("storage"));
  Reader resources = pool.object("resources");
  out.resources = {resources.text_map("requests"), resources.text_map("limits")};
  out.template_ = read_template(pool.object("template"));
  return out;
}

ListenerTls read_tls(Reader& tls) {
  ListenerTls out;
  const std::string secret = read_secret_ref(tls, "certificateSecretRef");
  if (!secret.empty()) out.certificate_secret = secret;
  out.min_version = tls.choice<TlsVersion>("minVersion", kTlsVersions, TlsVersion::kTls12);
  out.cipher_suites = tls.texts("cipherSuites");
  return out;
}

ListenerAuthentication read_authentication(Reader& authentication) {
  ListenerAuthentication out;
  out.type = authentication.choice<ListenerAuth>("type", kListenerAuths, std::nullopt);
  Reader oauth = authentication.object("oAuthBearer");
  if (oauth.present()) {
    out.oauth_bearer =
        OAuthBearer{oauth.required_text("issuer"), oauth.required_text("jwksUri"),
                    oauth.text_or("audience"), oauth.text_or("usernameClaim", "sub")};
  }
  return out;
}

ExposeSpec read_expose(Reader expose) {
  ExposeSpec out;
  out.type = expose.choice<ExposeType>("type", kExposeTypes, ExposeType::kClusterIp);
  out.bootstrap_port = expose.int32("bootstrapPort");
  out.broker_base_port = expose.int32("brokerBasePort");
  out.advertised_host = expose.text_or("advertisedHost");
  out.advertised_port = expose.quantity("advertisedPort").value_or("");
  out.annotations = expose.text_map("annotations");
  out.source_ranges = expose.texts("sourceRanges");
  return out;
}

ListenerSpec read_listener(Reader& listener) {
  ListenerSpec out;
  out.name = listener.required_text("name");
  out.port = listener.int32("port").value_or(0);
  if (out.port == 0) listener.fail("port", "is required");
  {
    Reader tls = listener.object("tls");
    if (tls.present()) out.tls = read_tls(tls);
  }
  out.authentication = listener.list("authentication", read_authentication);
  if (out.authentication.empty())
    listener.fail("authentication", "is required; write [{type: None}] to let everybody in");
  out.expose = read_expose(listener.object("expose"));
  out.allow_from = listener.raw("allowFrom", json::value_t::array);
  return out;
}

CaSpec read_ca(Reader ca) {
  CaSpec out;
  out.type = ca.choice<CaType>("type", kCaTypes, CaType::kManaged);
  out.validity = ca.duration_or("validity", out.validity);
  out.secret = read_secret_ref(ca, "secretRef");
  return out;
}

void read_day_two(ClusterSpec& out, Reader& spec) {
  {
    Reader upgrade = spec.object("upgrade");
    out.upgrade.roll_by = upgrade.choice<RollUnit>("rollBy", kRollUnits, RollUnit::kBroker);
    out.upgrade.soak = upgrade.duration_or("soak", std::chrono::seconds{0});
    out.upgrade.on_unsafe_topics =
        upgrade.choice<UnsafeTopics>("onUnsafeTopics", kUnsafeTopics, UnsafeTopics::kWarn);
  }
  out.maintenance_windows = spec.list("maintenanceWindows", [](Reader& window) {
    return MaintenanceWindow{window.required_text("schedule"),
                             window.duration_or("duration", std::chrono::hours{1}),
                             window.text_or("timeZone", "UTC")};
  });
  {
    Reader certificates = spec.object("certificates");
    out.certificates.cluster_ca = read_ca(certificates.object("clusterCa"));
    out.certificates.users_ca = read_ca(certificates.object("usersCa"));
    out.certificates.leaf_validity =
        certificates.duration_or("leafValidity", out.certificates.leaf_validity);
  }
  {
    Reader rebalance = spec.object("rebalance");
    out.rebalance.on_scale = rebalance.choice<OnScale>("onScale", kOnScale, OnScale::kManual);
    out.rebalance.throttle_bytes_per_second = rebalance.bytes("throttle");
  }
  Reader recovery = spec.object("recovery");
  out.recovery.adopt_volumes = recovery.boolean_or("adoptVolumes", false);
  out.recovery.replace_lost_nodes = recovery.boolean_or("replaceLostNodes", false);
}

void read_spec(ClusterSpec& out, Reader& spec) {
  out.version = spec.text_or("version", "1.0");
  out.image = read_image(spec.object("image"));
  out.pools = spec.list("pools", read_pool);
  out.listeners = spec.list("listeners", read_listener);
  if (out.listeners.empty()) out.listeners = {default_listener()};
  {
    Reader authorization = spec.object("authorization");
    out.authorization.type = authorization.choice<AuthorizationType>("type", kAuthorizations,
                                                                     AuthorizationType::kSimple);
    out.authorization.super_users = authorization.texts("superUsers");
  }
  out.tenants = spec.list("tenants", [](Reader& tenant) {
    TenantSpec read;
    Reader selector = tenant.object("namespaceSelector");
    read.namespace_selector = detail::read_selector(selector);
    read.prefixes = tenant.texts("prefixes");
    return read;
  });
  {
    Reader rack = spec.object("rack");
    if (rack.present()) out.rack_topology_key = rack.required_text("topologyKey");
  }
  out.config = spec.scalar_map("config");
  out.deletion_protection = spec.boolean_or("deletionProtection", false);
  read_day_two(out, spec);
  out.hibernate = spec.boolean_or("hibernate", false);
}

std::optional<RollStatus> read_roll(Reader roll) {
  if (!roll.present()) return std::nullopt;
  RollStatus out;
  out.total = roll.int32("total").value_or(0);
  out.done = roll.int32("done").value_or(0);
  out.node_id = roll.int32("nodeId");
  out.pod_uid = roll.text_or("podUid");
  out.broker_epoch = roll.integer("brokerEpoch").value_or(-1);
  out.waiting_for = roll.text_or("waitingFor");
  out.unsafe_topics = roll.texts("unsafeTopics");
  out.window_opens = roll.text_or("windowOpens");
  out.restoring_since = roll.text_or("restoringSince");
  out.not_restored = roll.texts("notRestored");
  return out;
}

std::optional<ScaleStatus> read_scale(Reader scale) {
  if (!scale.present()) return std::nullopt;
  ScaleStatus out;
  if (const json* ids = scale.get("joining")) out.joining = ids->get<std::vector<std::int32_t>>();
  if (const json* ids = scale.get("leaving")) out.leaving = ids->get<std::vector<std::int32_t>>();
  out.moved = scale.integer("moved").value_or(0);
  out.total = scale.integer("total").value_or(0);
  out.moved_bytes = scale.integer("movedBytes").value_or(0);
  out.total_bytes = scale.integer("totalBytes").value_or(0);
  out.started_at = scale.text_or("startedAt");
  out.eta = scale.text_or("eta");
  out.waiting_for = scale.text_or("waitingFor");
  return out;
}

CaStatus read_ca_status(Reader ca) {
  CaStatus out;
  out.generation = ca.int32("generation").value_or(0);
  out.phase = ca.text_or("phase");
  out.expires = ca.text_or("expires");
  out.trusted = ca.texts("trusted");
  return out;
}

std::optional<CertificatesStatus> read_certificates(Reader certificates) {
  if (!certificates.present()) return std::nullopt;
  CertificatesStatus out;
  out.cluster_ca = read_ca_status(certificates.object("clusterCa"));
  out.users_ca = read_ca_status(certificates.object("usersCa"));
  return out;
}

void read_status(ClusterStatus& out, Reader& status) {
  out.observed_generation = status.integer("observedGeneration").value_or(0);
  out.conditions = read_conditions(status);
  out.cluster_id = status.text_or("clusterId");
  out.initial_controllers = status.list("initialControllers", [](Reader& controller) {
    return InitialController{controller.int32("nodeId").value_or(0),
                             controller.text_or("directoryId"),
                             controller.boolean_or("formatted", false)};
  });
  out.formatted = status.boolean_or("formatted", false);
  out.image = status.text_or("image");
  out.version = status.text_or("version");
  out.metadata_version = status.int32("metadataVersion").value_or(0);
  out.brokers = status.int32("brokers").value_or(0);
  out.ready_brokers = status.int32("readyBrokers").value_or(0);
  out.bootstrap = status.text_or("bootstrap");
  out.listeners = status.list("listeners", [](Reader& listener) {
    return ListenerStatus{listener.text_or("name"), listener.text_or("bootstrap"),
                          listener.text_or("protocol")};
  });
  out.pools = status.list("pools", [](Reader& pool) {
    PoolStatus read;
    read.name = pool.text_or("name");
    read.replicas = pool.int32("replicas").value_or(0);
    read.ready = pool.int32("ready").value_or(0);
    if (const json* ids = pool.get("nodeIds"))
      read.node_ids = ids->get<std::vector<std::int32_t>>();
    return read;
  });
  out.owned_config = status.texts("ownedConfig");
  out.quorum_leader = status.int32("quorumLeader");
  out.placements = status.list("placements", [](Reader& placement) {
    return NodePlacement{placement.int32("nodeId").value_or(0), placement.text_or("node"),
                         placement.text_or("rack")};
  });
  out.roll = read_roll(status.object("roll"));
  out.scale = read_scale(status.object("scale"));
  out.throttle_bytes_per_second = status.integer("throttleBytesPerSecond");
  out.certificates = read_certificates(status.object("certificates"));
  out.activity = status.text_or("activity");
}

}  // namespace

Result<Cluster> parse_cluster(const json& object, Unknown unknown) {
  return detail::parse_object<Cluster>(object, unknown,
                                       [](Cluster& out, Reader& spec, Reader& status) {
                                         read_spec(out.spec, spec);
                                         read_status(out.status, status);
                                       });
}

template <>
Result<Cluster> parse<Cluster>(const json& object, Unknown unknown) {
  return parse_cluster(object, unknown);
}

namespace {

json write_roll(const RollStatus& roll) {
  json out{{"total", roll.total}, {"done", roll.done}};
  if (roll.node_id) out["nodeId"] = *roll.node_id;
  put(out, "podUid", roll.pod_uid);
  if (roll.broker_epoch >= 0) out["brokerEpoch"] = roll.broker_epoch;
  put(out, "waitingFor", roll.waiting_for);
  if (!roll.unsafe_topics.empty()) out["unsafeTopics"] = roll.unsafe_topics;
  put(out, "windowOpens", roll.window_opens);
  put(out, "restoringSince", roll.restoring_since);
  if (!roll.not_restored.empty()) out["notRestored"] = roll.not_restored;
  return out;
}

json write_scale(const ScaleStatus& scale) {
  json out{{"moved", scale.moved}, {"total", scale.total}};
  if (!scale.joining.empty()) out["joining"] = scale.joining;
  if (!scale.leaving.empty()) out["leaving"] = scale.leaving;
  if (scale.total_bytes > 0) {
    out["movedBytes"] = scale.moved_bytes;
    out["totalBytes"] = scale.total_bytes;
  }
  put(out, "startedAt", scale.started_at);
  put(out, "eta", scale.eta);
  put(out, "waitingFor", scale.waiting_for);
  return out;
}

json write_ca_status(const CaStatus& ca) {
  json out{{"generation", ca.generation}};
  put(out, "phase", ca.phase);
  put(out, "expires", ca.expires);
  if (!ca.trusted.empty()) out["trusted"] = ca.trusted;
  return out;
}

}  // namespace

json encode_status(const ClusterStatus& status) {
  json out{{"observedGeneration", status.observed_generation},
           {"conditions", detail::write_conditions(status.conditions)},
           {"brokers", status.brokers},
           {"readyBrokers", status.ready_brokers}};
  put(out, "clusterId", status.cluster_id);
  for (const InitialController& controller : status.initial_controllers) {
    json entry{{"nodeId", controller.node_id}, {"directoryId", controller.directory_id}};
    if (controller.formatted) entry["formatted"] = true;
    out["initialControllers"].push_back(std::move(entry));
  }
  if (status.formatted) out["formatted"] = true;
  put(out, "image", status.image);
  put(out, "version", status.version);
  if (status.metadata_version > 0) out["metadataVersion"] = status.metadata_version;
  put(out, "bootstrap", status.bootstrap);
  for (const ListenerStatus& listener : status.listeners) {
    out["listeners"].push_back({{"name", listener.name},
                                {"bootstrap", listener.bootstrap},
                                {"protocol", listener.protocol}});
  }
  for (const PoolStatus& pool : status.pools) {
    out["pools"].push_back({{"name", pool.name},
                            {"replicas", pool.replicas},
                            {"ready", pool.ready},
                            {"nodeIds", pool.node_ids}});
  }
  if (!status.owned_config.empty()) out["ownedConfig"] = status.owned_config;
  if (status.quorum_leader) out["quorumLeader"] = *status.quorum_leader;
  for (const NodePlacement& placement : status.placements) {
    out["placements"].push_back(
        {{"nodeId", placement.node_id}, {"node", placement.node}, {"rack", placement.rack}});
  }
  if (status.roll) out["roll"] = write_roll(*status.roll);
  if (status.scale) out["scale"] = write_scale(*status.scale);
  if (status.throttle_bytes_per_second)
    out["throttleBytesPerSecond"] = *status.throttle_bytes_per_second;
  if (status.certificates) {
    out["certificates"] = {{"clusterCa", write_ca_status(status.certificates->cluster_ca)},
                           {"usersCa", write_ca_status(status.certificates->users_ca)}};
  }
  put(out, "activity", status.activity);
  return out;
}

}  // namespace op::api
