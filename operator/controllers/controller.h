#pragma once

#include <optional>

#include "broker/common/result.h"
#include "broker/common/time.h"
#include "operator/kube/object.h"

namespace op::controllers {

using kube::ObjectKey;

/// How one reconcile went.
struct Outcome {
  std::optional<broker::Error> error;           // tried again after the key's back-off
  std::optional<broker::Duration> again_after;  // looked at again though nothing happened

  static Outcome done() { return {}; }
  static Outcome again(broker::Duration delay) { return {std::nullopt, delay}; }
  static Outcome failed(broker::Error why) { return {std::move(why), std::nullopt}; }
};

/// One kind's loop: gather, plan, apply, write status. Called for one name by one worker at a time,
/// for different names by several.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual const kube::Kind& kind() const = 0;
  /// The object may be there, changed, unchanged, being deleted, or gone.
  virtual Outcome reconcile(const ObjectKey& key) = 0;
};

}  // namespace op::controllers
