#pragma once

#include <string>
#include <vector>

#include "broker/io/transport.h"
#include "operator/kube/object.h"
#include "operator/pki/probe.h"

namespace op::api {
struct Cluster;
}

namespace op::provider {

/// How brokers run and where they are reached, as far as it differs between providers. Everything
/// else about them is ordinary objects in the ResourceStore.
class Infrastructure {
 public:
  virtual ~Infrastructure() = default;

  struct NodeName {
    kube::ObjectKey cluster;
    std::string pod;           // "orders-main-0"
    std::string headless_dns;  // "orders-main-0.orders-brokers.kafka.svc"
  };
  /// The address of one node's port as *this process* reaches it: the pod's own name in a cluster,
  /// loopback for child processes.
  virtual broker::io::Endpoint node_endpoint(const NodeName& node, std::uint16_t port) const = 0;
  /// Whether the node's name leads to `address`, as far as that can be seen from here: names are
  /// cached for some seconds after a pod has moved. Takes as long as a name server does.
  virtual bool name_leads_to(const NodeName& node, const std::string& address) const = 0;
  /// What the node shows at this port now. Takes as long as the handshake, a second at most unless
  /// the name server is slow. Errors: those of pki::probe.
  virtual broker::Result<pki::ServedTls> served_tls(const NodeName& node, std::uint16_t port,
                                                    const pki::ProbeOptions& options) const;
  /// How long a changed Secret may take until the brokers have loaded it.
  virtual std::chrono::seconds certificate_delay() const = 0;
  /// Changes a Cluster where this infrastructure cannot do as it says: without pods there are no
  /// service names, so listeners are advertised on loopback. The resource itself stays.
  virtual void adapt(api::Cluster& cluster) const = 0;
  /// True when the names of pods do not resolve and certificates are checked against "localhost"
  /// instead, which each of them names.
  virtual bool connects_by_other_name() const = 0;
};

}  // namespace op::provider
