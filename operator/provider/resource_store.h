#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "operator/kube/object.h"

namespace op::provider {

using kube::Kind;
using kube::Object;
using kube::ObjectKey;
using kube::ObjectPtr;

/// Where resources live: an API server, a directory of YAML files, or memory. Reads come from a
/// cache that follows the source; writes go to the source and block. Thread-safe.
/// Errors are those of kube::KubeClient, whatever the source.
class ResourceStore {
 public:
  virtual ~ResourceStore() = default;

  /// The cached object; null when absent. Absence is evidence only when synced().
  virtual ObjectPtr get(const Kind& kind, const ObjectKey& key) const = 0;
  /// In the order of their names. `ns` "" = all namespaces; `selector` "a=b,c=d", "" = all.
  virtual std::vector<ObjectPtr> list(const Kind& kind, const std::string& ns,
                                      const std::string& selector) const = 0;
  /// Every watched kind has been listed once.
  virtual bool synced() const = 0;

  /// From the source itself, for objects outside the watched set (a Secret that a resource names).
  virtual broker::Result<ObjectPtr> read(const Kind& kind, const ObjectKey& key) = 0;

  /// Makes the object have the fields in `json` (server-side apply); fields applied earlier and no
  /// longer named go away, those of others stay. Returns the object as it is now.
  virtual broker::Result<ObjectPtr> apply(const Kind& kind, const ObjectKey& key,
                                          const std::string& json) = 0;
  /// Only the object with this uid (unless ""). kResourceNotFound when it is gone.
  virtual broker::Result<void> remove(const Kind& kind, const ObjectKey& key,
                                      const std::string& uid) = 0;
  /// `status_json` is the value of .status. Only for the object with this uid.
  virtual broker::Result<void> write_status(const Object& object,
                                            const std::string& status_json) = 0;
  virtual broker::Result<void> set_finalizer(const Object& object, const std::string& finalizer,
                                             bool present) = 0;
  /// A courtesy to the user: failures are swallowed.
  virtual void event(const Object& about, bool warning, const std::string& reason,
                     const std::string& message) = 0;

  /// `old` null: new; `now` null: gone. Called on a thread of the store; must not block. Subscribe
  /// before start().
  using ChangeHandler = std::function<void(const ObjectPtr& old, const ObjectPtr& now)>;
  virtual void subscribe(const Kind& kind, ChangeHandler handler) = 0;
  virtual broker::Result<void> start() = 0;
  /// No handler runs afterwards.
  virtual void stop() = 0;
};

}  // namespace op::provider
