#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// ExternalCluster: a connection to a Kafka that we do not run, and what it shows.
class ExternalClusterController final : public Controller {
 public:
  explicit ExternalClusterController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kExternalCluster; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  Context& context_;
};

}  // namespace op::controllers
