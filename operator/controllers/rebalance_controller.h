#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// Rebalance: a proposal, its approval, and the moves, a few at a time. The list of moves is kept
/// in a ConfigMap beside the resource, so that any operator goes on with what was approved.
class RebalanceController final : public Controller {
 public:
  explicit RebalanceController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kRebalance; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  Context& context_;
};

}  // namespace op::controllers
