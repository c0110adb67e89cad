#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/cluster.h"

/// Names, addresses and labels, all derived from the Cluster and nothing else: any part of the
/// operator, now or after a crash, arrives at the same ones.
namespace op::model {

inline constexpr std::int32_t kControllerPort = 9090;
inline constexpr std::int32_t kInternalPort = 9091;
inline constexpr std::int32_t kHttpPort = 9404;

/// Common names of our own certificates; super users are written after them.
inline constexpr std::string_view kBrokerCommonName = "millrace-broker";
inline constexpr std::string_view kOperatorCommonName = "millrace-operator";

inline constexpr std::string_view kFieldManager = "millrace-operator";
inline constexpr std::string_view kClusterLabel = "millrace.io/cluster";
inline constexpr std::string_view kPoolLabel = "millrace.io/pool";
/// Set by the user. On a Cluster: another value restarts every pod, one by one. On a pod: this one.
inline constexpr std::string_view kRestartAnnotation = "millrace.io/restart";
/// Set by the user on a Cluster: another value makes a new CA, without a restart.
inline constexpr std::string_view kRenewClusterCaAnnotation = "millrace.io/renew-cluster-ca";
inline constexpr std::string_view kRenewUsersCaAnnotation = "millrace.io/renew-users-ca";
/// "true": the CA before is dropped as soon as no broker needs it, without waiting for clients.
inline constexpr std::string_view kEndCaOverlapAnnotation = "millrace.io/end-ca-overlap";
inline constexpr std::string_view kDeclaredDigestAnnotation = "millrace.io/declared-digest";

std::string headless_service(const api::Cluster& cluster);   // orders-brokers
std::string bootstrap_service(const api::Cluster& cluster);  // orders-bootstrap
std::string service_account(const api::Cluster& cluster);    // orders-broker
/// Of a listener that is exposed outside: "orders-bootstrap-tls", and "orders-tls-0" per broker.
std::string external_bootstrap_service(const api::Cluster& cluster, const api::ListenerSpec& l);
std::string external_broker_service(const api::Cluster& cluster, const api::ListenerSpec& l,
                                    std::int32_t node_id);
std::string pool_name(const api::Cluster& cluster, const api::PoolSpec& pool);  // orders-main
/// The pool's ConfigMap with server.properties; also "orders-main".
std::string config_map(const api::Cluster& cluster, const api::PoolSpec& pool);
std::string broker_secret(const api::Cluster& cluster, const api::PoolSpec& pool);
std::string cluster_ca_secret(const api::Cluster& cluster);  // orders-cluster-ca
std::string users_ca_secret(const api::Cluster& cluster);    // orders-users-ca
std::string operator_secret(const api::Cluster& cluster);    // orders-operator-client
std::string pod_name(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id);
/// "orders-main-0.orders-brokers.kafka.svc", what brokers and the operator call each other by.
std::string pod_host(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id);

std::vector<std::int32_t> node_ids(const api::PoolSpec& pool);
std::int32_t broker_count(const api::Cluster& cluster);
/// min.insync.replicas where the spec says nothing.
std::int32_t default_min_insync(const api::Cluster& cluster);
/// The pool that the node id belongs to; nullptr when none does.
const api::PoolSpec* pool_of(const api::Cluster& cluster, std::int32_t node_id);

/// Where the node was seen last; nullptr when it never was.
const api::NodePlacement* placement_of(const api::Cluster& cluster, std::int32_t node_id);

/// What Services and policies select by: app.kubernetes.io/name, millrace.io/cluster.
std::map<std::string, std::string> selector_labels(const api::Cluster& cluster);
std::map<std::string, std::string> object_labels(const api::Cluster& cluster);
std::map<std::string, std::string> pool_labels(const api::Cluster& cluster,
                                               const api::PoolSpec& pool);

struct Address {
  std::string host;
  std::int32_t port = 0;

  auto operator<=>(const Address&) const = default;
};
std::string to_string(const Address& address);  // "host:port"; IPv6 in brackets

/// Where clients of the listener reach one broker.
Address advertised_address(const api::Cluster& cluster, const api::ListenerSpec& listener,
                           std::int32_t node_id);
/// Where clients start: outside for an exposed listener, the bootstrap Service otherwise.
std::vector<Address> bootstrap_addresses(const api::Cluster& cluster,
                                         const api::ListenerSpec& listener);
/// "host:port,host:port".
std::string bootstrap_servers(const api::Cluster& cluster, const api::ListenerSpec& listener);

/// The hosts that clients of the listener dial, of all brokers; sorted.
std::vector<std::string> dialled_hosts(const api::Cluster& cluster,
                                       const api::ListenerSpec& listener);

/// Everything a client may have dialled to reach this broker.
struct CertificateNames {
  std::vector<std::string> dns_names;     // sorted, unique
  std::vector<std::string> ip_addresses;  // sorted, unique
};
CertificateNames certificate_names(const api::Cluster& cluster, std::int32_t node_id);

}  // namespace op::model
