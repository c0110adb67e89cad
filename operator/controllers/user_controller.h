#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// User: SCRAM credential or client certificate, and the Secret from which a client runs alone.
class UserController final : public Controller {
 public:
  explicit UserController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kUser; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  Context& context_;
};

}  // namespace op::controllers
