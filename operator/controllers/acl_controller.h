#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// ACL: exactly the bindings that the resource stands for, no others of the principal.
class AclController final : public Controller {
 public:
  explicit AclController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kAcl; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  Context& context_;
};

}  // namespace op::controllers
