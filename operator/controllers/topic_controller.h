#pragma once

#include "operator/controllers/context.h"
#include "operator/controllers/controller.h"

namespace op::controllers {

/// Topic: create, adopt, alter, repair, delete. Reads the replayed image only; writes go through
/// the cluster's batches, so that a thousand Topics are a few requests.
class TopicController final : public Controller {
 public:
  explicit TopicController(Context& context) : context_(context) {}
  const kube::Kind& kind() const override { return kube::kTopic; }
  Outcome reconcile(const ObjectKey& key) override;

 private:
  Context& context_;
};

}  // namespace op::controllers
