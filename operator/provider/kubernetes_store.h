#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/kube/client.h"
#include "operator/kube/events.h"
#include "operator/kube/informer.h"
#include "operator/provider/resource_store.h"

namespace op::provider {

struct WatchedKind {
  const Kind* kind = nullptr;
  std::string selector;  // "" = all objects of the kind
  /// Going on without it is possible: a namespaced installation may not read Namespaces.
  bool optional = false;
};

struct KubernetesStoreOptions {
  std::vector<std::string> namespaces;  // empty: all
  std::vector<WatchedKind> watched;
  std::string instance;  // this process, for Events
  /// Asked before every write: only the leader writes. Refused writes are kNotController.
  std::function<bool()> may_write = [] { return true; };
};

/// Resources in a Kubernetes API server: an informer per watched kind and namespace, and
/// server-side apply. A write's answer goes into the cache at once, so that the next reconcile sees
/// it. The cache may be behind (a watch that stalls, another replica's writes of a moment ago), and
/// what is drawn by lot must not be drawn again for that: a Secret of ours that the cache does not
/// know, and a first status of a Cluster that has one, are not written over
/// (kInvalidUpdateVersion).
class KubernetesStore final : public ResourceStore {
 public:
  KubernetesStore(kube::KubeClient& client, KubernetesStoreOptions options);
  ~KubernetesStore() override;

  ObjectPtr get(const Kind& kind, const ObjectKey& key) const override;
  std::vector<ObjectPtr> list(const Kind& kind, const std::string& ns,
                              const std::string& selector) const override;
  bool synced() const override;
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
  broker::Result<void> start() override;
  void stop() override;
  /// Kinds whose first list has not come yet, for a clear log line.
  std::vector<std::string> missing() const;

 private:
  struct Watched {
    WatchedKind what;
    kube::Informer::Cache cache;
    std::vector<ChangeHandler> handlers;
    std::vector<std::unique_ptr<kube::Informer>> informers;  // one per namespace
  };

  Watched* find(const Kind& kind) const;
  broker::Result<void> check_leader() const;
  broker::Result<void> check_unseen(const Kind& kind, const ObjectKey& key);
  /// Puts the answer of a write into the cache unless a watch has brought something newer.
  void remember(const ObjectPtr& written);

  kube::KubeClient& client_;
  const KubernetesStoreOptions options_;
  kube::EventRecorder events_;
  std::map<std::string, std::unique_ptr<Watched>, std::less<>>
      watched_;  // fixed after construction
};

}  // namespace op::provider
