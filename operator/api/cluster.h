#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"

namespace op::api {

/// Which image the brokers run. All empty: the operator's default, pinned in status at creation.
struct ImageSpec {
  std::string registry;
  std::string repository;
  std::string tag;
  std::string digest;  // "sha256:…"; wins over the tag
  std::string pull_policy;
  std::vector<std::string> pull_secrets;

  bool operator==(const ImageSpec&) const = default;
};

enum class Role { kController, kBroker };

struct VolumeSpec {
  std::string name;
  std::string size;  // a Kubernetes quantity
  std::optional<std::string> storage_class_name;

  bool operator==(const VolumeSpec&) const = default;
};

enum class VolumePolicy { kRetain, kDelete };

struct StorageSpec {
  std::vector<VolumeSpec> volumes;
  VolumePolicy on_delete = VolumePolicy::kRetain;

  bool operator==(const StorageSpec&) const = default;
};

struct ResourceRequirements {
  std::map<std::string, std::string> requests;
  std::map<std::string, std::string> limits;

  bool operator==(const ResourceRequirements&) const = default;
};

/// What of a pod is the user's. Everything else of it is ours, so that an upgrade cannot clash.
struct PodTemplate {
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::map<std::string, std::string> node_selector;
  std::optional<std::string> priority_class_name;
  std::optional<std::int64_t> termination_grace_period_seconds;
  std::optional<RawJson> affinity;
  std::optional<RawJson> tolerations;
  std::optional<RawJson> topology_spread_constraints;  // replaces the default spread over zones
  std::optional<RawJson> env;                          // added to the kafka container
  std::optional<RawJson> sidecars;                     // further containers
  std::optional<RawJson> volumes;                      // for the sidecars

  bool operator==(const PodTemplate&) const = default;
};

struct PoolSpec {
  std::string name;
  std::vector<Role> roles;
  std::int32_t replicas = 1;
  std::int32_t first_node_id = 0;
  StorageSpec storage;
  ResourceRequirements resources;
  PodTemplate template_;

  bool operator==(const PoolSpec&) const = default;
  bool has_role(Role role) const;
};

enum class TlsVersion { kTls12, kTls13 };

struct ListenerTls {
  std::optional<std::string> certificate_secret;  // a kubernetes.io/tls Secret; absent: our own CA
  TlsVersion min_version = TlsVersion::kTls12;
  std::vector<std::string> cipher_suites;

  bool operator==(const ListenerTls&) const = default;
};

enum class ListenerAuth { kNone, kScramSha256, kScramSha512, kPlain, kMtls, kOAuthBearer };

struct OAuthBearer {
  std::string issuer;
  std::string jwks_uri;
  std::string audience;
  std::string username_claim;

  bool operator==(const OAuthBearer&) const = default;
};

struct ListenerAuthentication {
  ListenerAuth type = ListenerAuth::kScramSha512;
  std::optional<OAuthBearer> oauth_bearer;

  bool operator==(const ListenerAuthentication&) const = default;
};

enum class ExposeType { kClusterIp, kNodePort, kLoadBalancer };

struct ExposeSpec {
  ExposeType type = ExposeType::kClusterIp;
  std::optional<std::int32_t> bootstrap_port;
  std::optional<std::int32_t> broker_base_port;  // broker i is reached at broker_base_port + i
  std::string advertised_host;                   // may contain {id}
  std::string advertised_port;                   // may be "{port}", a number, or number+{id}
  /// Never in a resource: what an infrastructure without Services chose for each node.
  std::map<std::int32_t, std::int32_t> node_ports;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> source_ranges;

  bool operator==(const ExposeSpec&) const = default;
};

struct ListenerSpec {
  std::string name;
  std::int32_t port = 0;
  std::optional<ListenerTls> tls;  // absent: plaintext
  std::vector<ListenerAuthentication> authentication;
  ExposeSpec expose;
  std::optional<RawJson> allow_from;  // NetworkPolicy peers; absent or empty: from everywhere

  bool operator==(const ListenerSpec&) const = default;
  bool accepts(ListenerAuth type) const;
  /// One of the SASL mechanisms is among the accepted ones.
  bool uses_sasl() const;
};

enum class AuthorizationType { kNone, kSimple };

struct AuthorizationSpec {
  AuthorizationType type = AuthorizationType::kSimple;
  std::vector<std::string> super_users;  // "User:admin"

  bool operator==(const AuthorizationSpec&) const = default;
};

struct TenantSpec {
  LabelSelector namespace_selector;
  std::vector<std::string> prefixes;  // of topic, group, user and transactional id names

  bool operator==(const TenantSpec&) const = default;
};

enum class RollUnit { kBroker, kRack };
enum class UnsafeTopics { kWarn, kBlock };

struct UpgradeSpec {
  RollUnit roll_by = RollUnit::kBroker;
  std::chrono::seconds soak{0};
  UnsafeTopics on_unsafe_topics = UnsafeTopics::kWarn;

  bool operator==(const UpgradeSpec&) const = default;
};

struct MaintenanceWindow {
  std::string schedule;
  std::chrono::seconds duration{0};
  std::string time_zone;

  bool operator==(const MaintenanceWindow&) const = default;
};

enum class CaType { kManaged, kSecret };

struct CaSpec {
  CaType type = CaType::kManaged;
  std::chrono::seconds validity = std::chrono::hours{24 * 1825};
  std::string secret;  // name of the user's Secret, for type kSecret

  bool operator==(const CaSpec&) const = default;
};

struct CertificatesSpec {
  CaSpec cluster_ca;
  CaSpec users_ca;
  std::chrono::seconds leaf_validity = std::chrono::hours{24 * 365};

  bool operator==(const CertificatesSpec&) const = default;
};

enum class OnScale { kAuto, kManual };

struct RebalancePolicy {
  OnScale on_scale = OnScale::kManual;
  std::optional<std::int64_t> throttle_bytes_per_second;

  bool operator==(const RebalancePolicy&) const = default;
};

struct RecoverySpec {
  bool adopt_volumes = false;
  bool replace_lost_nodes = false;

  bool operator==(const RecoverySpec&) const = default;
};

struct ClusterSpec {
  std::string version;
  ImageSpec image;
  std::vector<PoolSpec> pools;
  std::vector<ListenerSpec> listeners;
  AuthorizationSpec authorization;
  std::vector<TenantSpec> tenants;
  std::optional<std::string> rack_topology_key;
  std::map<std::string, std::string> config;  // Kafka's keys; scalars in their text form
  bool deletion_protection = false;
  UpgradeSpec upgrade;
  std::vector<MaintenanceWindow> maintenance_windows;
  CertificatesSpec certificates;
  RebalancePolicy rebalance;
  RecoverySpec recovery;
  bool hibernate = false;

  bool operator==(const ClusterSpec&) const = default;
};

struct ListenerStatus {
  std::string name;
  std::string bootstrap;  // "host:port", comma-separated when there are several
  std::string protocol;   // Kafka's security protocol

  bool operator==(const ListenerStatus&) const = default;
};

struct PoolStatus {
  std::string name;
  std::int32_t replicas = 0;
  std::int32_t ready = 0;
  std::vector<std::int32_t> node_ids;

  bool operator==(const PoolStatus&) const = default;
};

/// A voter as it was written into the first checkpoint; its directory id is issued once and never
/// again (KIP-853).
struct InitialController {
  std::int32_t node_id = 0;
  std::string directory_id;
  bool formatted = false;  // was ready once: when its disk is empty now, the voter is lost

  bool operator==(const InitialController&) const = default;
};

/// Where a node runs. The rack is the one of its Kubernetes node; it keeps its last value while the
/// pod is away.
struct NodePlacement {
  std::int32_t node_id = 0;
  std::string node;
  std::string rack;  // "": the Kubernetes node has no such label

  bool operator==(const NodePlacement&) const = default;
};

/// Pods that are restarted one after another because of what was declared. Kept in status, so that
/// an operator that starts goes on where the last one stopped.
struct RollStatus {
  std::int32_t total = 0;
  std::int32_t done = 0;
  // The node under way, and what it was before: another pod and a later registration are the
  // evidence that it is back.
  std::optional<std::int32_t> node_id;
  std::string pod_uid;
  std::int64_t broker_epoch = -1;
  std::string waiting_for;
  std::vector<std::string> unsafe_topics;  // unavailable for writes during a restart; the first few
  Timestamp window_opens;     // all that is left waits for this maintenance window; "" else
  Timestamp restoring_since;  // the node under way is whole and was first asked to lead; "" else
  /// What others lead although it prefers a node that is back; the first few, of all this roll.
  std::vector<std::string> not_restored;

  bool operator==(const RollStatus&) const = default;
};

/// Nodes that come or go. Kept in status, so that an operator that starts goes on where the last
/// one stopped, and knows which brokers to have forgotten at the end.
struct ScaleStatus {
  std::vector<std::int32_t> joining;  // brokers that have not got their share of replicas yet
  std::vector<std::int32_t> leaving;  // until they are drained, stopped and unregistered
  std::int64_t moved = 0;             // partitions
  std::int64_t total = 0;
  std::int64_t moved_bytes = 0;
  std::int64_t total_bytes = 0;  // 0: not known yet
  Timestamp started_at;          // the first partition was moved after it
  std::string eta;               // "4m10s"; "" while nothing can be said
  std::string waiting_for;

  bool operator==(const ScaleStatus&) const = default;
};

/// One of the two CAs. What a rotation has done so far is in the CA's Secret; this is for people.
struct CaStatus {
  std::int32_t generation = 0;
  std::string phase;                 // Stable, Distributing, Reissuing, Overlap
  Timestamp expires;                 // of the CA that signs
  std::vector<std::string> trusted;  // its subject first

  bool operator==(const CaStatus&) const = default;
};

struct CertificatesStatus {
  CaStatus cluster_ca;
  CaStatus users_ca;

  bool operator==(const CertificatesStatus&) const = default;
};

struct ClusterStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  std::vector<InitialController> initial_controllers;
  bool formatted = false;  // brokers were ready once: an empty disk is a lost disk from then on
  std::string image;       // what the brokers are to run; an operator upgrade does not move it
  std::string version;
  std::int32_t metadata_version = 0;  // finalised feature level
  std::int32_t brokers = 0;           // desired
  std::int32_t ready_brokers = 0;
  std::optional<std::int32_t> quorum_leader;  // node id of the active controller, once known
  std::string bootstrap;                      // of the first listener, for the printer column
  std::vector<ListenerStatus> listeners;
  std::vector<PoolStatus> pools;
  std::vector<std::string> owned_config;  // dynamic keys that spec.config named, now or before
  std::vector<NodePlacement> placements;
  std::optional<RollStatus> roll;    // while pods are restarted
  std::optional<ScaleStatus> scale;  // while nodes come or go
  /// What limits the copying of partitions. It is here before any broker hears of it, so that an
  /// operator that starts anew knows that the limits it finds are its own.
  std::optional<std::int64_t> throttle_bytes_per_second;
  std::optional<CertificatesStatus> certificates;
  std::string activity;  // of all, for the printer column: "Rolling 2/3"

  bool operator==(const ClusterStatus&) const = default;
};

struct Cluster {
  static constexpr std::string_view kKind = "Cluster";
  static constexpr std::string_view kPlural = "clusters";
  using Status = ClusterStatus;

  ObjectMeta metadata;
  ClusterSpec spec;
  ClusterStatus status;

  bool operator==(const Cluster&) const = default;
};

/// Kafka's name for what a listener speaks: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
std::string_view security_protocol(const ListenerSpec& listener);
/// Kafka's mechanism name, empty for kNone and kMtls.
std::string_view sasl_mechanism(ListenerAuth type);
/// The listener as users' resources and `tls`-less names get it: one TLS + SCRAM-SHA-512 listener
/// named "tls" on 9093.
ListenerSpec default_listener();

}  // namespace op::api
