#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "operator/kube/client.h"
#include "operator/kube/object.h"
#include "operator/reconcile/backoff.h"
#include "operator/reconcile/object_cache.h"

namespace op::kube {

/// What changed in the cache: `old` is null for a new object, `now` for a deleted one. Called on
/// the informer's thread, after the cache was changed; must not block.
using ChangeHandler = std::function<void(const ObjectPtr& old, const ObjectPtr& now)>;

struct InformerOptions {
  const Kind* kind = nullptr;
  std::string ns;        // "" = all namespaces
  std::string selector;  // label selector "a=b"; "" = all
  reconcile::BackoffOptions backoff{std::chrono::milliseconds(200), std::chrono::seconds(30), 0.3};
  std::chrono::seconds watch_timeout{290};  // asked of the server; spread by up to 20 s
  std::chrono::milliseconds doubt{60'000};  // how long a list older than what was seen is doubted
};

/// Keeps a cache of one kind by list and watch. Starts with a list, then follows the watch from its
/// resource version, with bookmarks; a dropped or silent watch resumes where it was, 410 lists
/// anew (the difference is reported as changes: nothing is lost, nothing is reported twice). A list
/// older than what was seen comes from a server that is behind, and is asked for again; if that
/// does not end, the servers' data was restored, and the old is what there is. One thread; start()
/// and stop() from the owner.
class Informer {
 public:
  using Cache = reconcile::ObjectCache<Object>;

  Informer(KubeClient& client, Cache& cache, InformerOptions options, ChangeHandler on_change);
  ~Informer();

  void start();
  /// Ends the watch and joins; at most a few milliseconds. Idempotent.
  void stop();
  /// The cache holds at least one complete list.
  bool synced() const { return synced_.load(std::memory_order_acquire); }
  std::uint64_t lists() const { return lists_.load(std::memory_order_relaxed); }
  std::uint64_t watches() const { return watches_.load(std::memory_order_relaxed); }

 private:
  void run(std::stop_token stop);
  broker::Result<std::string> relist();
  /// What the next list must not be older than; "" = any will do.
  std::string floor();
  /// Follows one watch; returns how it ended, having moved `version` on.
  broker::Result<void> watch(std::string& version, std::stop_token stop);
  broker::Result<void> on_event(std::string_view line, std::string& version);
  void store(const ObjectPtr& object);
  void drop(const ObjectKey& key);

  KubeClient& client_;
  Cache& cache_;
  const InformerOptions options_;
  const ChangeHandler on_change_;
  std::string newest_;  // version seen; these three only on the thread
  std::optional<std::chrono::steady_clock::time_point> doubting_since_;
  bool restored_ = false;  // the next list counts, whatever its versions
  std::atomic<bool> synced_{false};
  std::atomic<std::uint64_t> lists_{0};
  std::atomic<std::uint64_t> watches_{0};
  std::jthread thread_;
};

}  // namespace op::kube
