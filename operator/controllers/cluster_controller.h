#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// Cluster: identity, certificates, child objects, connection, rolling, status; in this order,
/// because each step needs the one before. No step waits: what is not there yet brings us back by
/// an event. A spec with errors leaves everything as it is and only shows in status.
class ClusterController final : public Controller {
 public:
  explicit ClusterController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kCluster; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  void on_gone(const ObjectKey& key);

  Context& context_;
};

}  // namespace op::controllers
