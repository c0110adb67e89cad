#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "operator/provider/resource_store.h"

namespace op::provider {

/// A resource store in this process that behaves like an API server where loops can tell: uids,
/// resource versions, generations, finalizers, owner references that take dependents along, apply
/// that owns fields. Tests use it as it is (provider `memory`); standalone keeps it on disk.
/// Handlers run on the writing thread, without a lock held.
class LocalStore : public ResourceStore {
 public:
  ObjectPtr get(const Kind& kind, const ObjectKey& key) const override;
  std::vector<ObjectPtr> list(const Kind& kind, const std::string& ns,
                              const std::string& selector) const override;
  bool synced() const override { return true; }
  broker::Result<ObjectPtr> read(const Kind& kind, const ObjectKey& key) override;
  broker::Result<ObjectPtr> apply(const Kind& kind, const ObjectKey& key,
                                  const std::string& json) override;
  broker::Result<void> remove(const Kind& kind, const ObjectKey& key,
                              const std::string& uid) override;
  broker::Result<void> write_status(const Object& object, const std::string& status_json) override;
  broker::Result<void> set_finalizer(const Object& object, const std::string& finalizer,
                                     bool present) override;
  void event(const Object& about, bool warning, const std::string& reason,
             const std::string& message) override;
  void subscribe(const Kind& kind, ChangeHandler handler) override;
  broker::Result<void> start() override { return {}; }
  void stop() override {}

  // What users and other controllers do; not counted as writes of ours.

  /// kubectl apply of one whole object (JSON): everything but its status is replaced.
  broker::Result<ObjectPtr> put(const std::string& json);
  /// kubectl delete: with finalizers the object only gets its deletion timestamp.
  broker::Result<void> remove_as_user(const Kind& kind, const ObjectKey& key);
  /// Another controller's status (a pod that became ready).
  broker::Result<void> put_status(const Kind& kind, const ObjectKey& key,
                                  const std::string& status_json);

  /// Changes made through the port: what "zero writes when idle" counts. Writes that change nothing
  /// count too.
  std::uint64_t writes() const { return writes_.load(); }
  /// The process that subscribed is dead.
  void forget_subscribers();
  struct RecordedEvent {
    ObjectKey about;
    bool warning = false;
    std::string reason;
    std::string message;
  };
  std::vector<RecordedEvent> events() const;

 protected:
  /// An object changed (null: none before, none now). No lock is held. The default does nothing.
  virtual void on_changed(const ObjectPtr& old, const ObjectPtr& now);
  /// Puts an object back as it was saved, with uid and status, without telling anybody.
  void restore(const ObjectPtr& object, const std::string& applied);
  /// What was applied last to the object, for saving.
  std::string applied_fields(const Kind& kind, const ObjectKey& key) const;

 private:
  using Id = std::pair<std::string, ObjectKey>;  // kind
  struct Entry {
    ObjectPtr object;
    std::string applied;  // JSON of the last apply
  };
  struct Change {
    ObjectPtr old;
    ObjectPtr now;
  };

  broker::Result<void> remove_counted(const Kind& kind, const ObjectKey& key,
                                      const std::string& uid);
  ObjectPtr store_locked(const Kind& kind, const ObjectKey& key, nlohmann::json document,
                         std::vector<Change>& changes);
  void erase_locked(const Id& id, std::vector<Change>& changes);
  void publish(const std::vector<Change>& changes);

  mutable std::mutex mutex_;
  std::map<Id, Entry> objects_;
  std::uint64_t version_ = 0;
  std::map<std::string, std::vector<ChangeHandler>> handlers_;
  std::vector<RecordedEvent> events_;  // the last 1,000
  std::atomic<std::uint64_t> writes_{0};
};

}  // namespace op::provider
