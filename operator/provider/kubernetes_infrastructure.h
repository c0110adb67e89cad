#pragma once

#include "operator/provider/infrastructure.h"

namespace op::provider {

/// Pods are reached by their own names, through the headless Service.
class KubernetesInfrastructure : public Infrastructure {
 public:
  broker::io::Endpoint node_endpoint(const NodeName& node, std::uint16_t port) const override {
    return {node.headless_dns, port};
  }
  bool name_leads_to(const NodeName& node, const std::string& address) const override;
  void adapt(api::Cluster&) const override {}
  bool connects_by_other_name() const override { return false; }
  /// The kubelet looks at mounted Secrets once a minute or so.
  std::chrono::seconds certificate_delay() const override { return std::chrono::seconds(100); }
};

}  // namespace op::provider
