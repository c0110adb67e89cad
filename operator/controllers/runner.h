#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "operator/controllers/controller.h"
#include "operator/provider/resource_store.h"
#include "operator/reconcile/work_queue.h"

namespace op::controllers {

struct RunnerOptions {
  int workers = 4;
  /// Every object is looked at again after this long even if nothing was heard of it.
  std::chrono::minutes resync{10};
  reconcile::BackoffOptions backoff{std::chrono::milliseconds(100), std::chrono::minutes(1), 0.2};
};

/// Feeds names from the store's changes to the controllers. start() and stop() follow leadership
/// and may alternate; names heard of while stopped are not lost, because start() adds them all.
class Runner {
 public:
  Runner(provider::ResourceStore& store, RunnerOptions options);
  ~Runner();

  // Before the store starts.

  void add(Controller& controller);
  /// Maps a change of `kind` to the names concerned; both states may be null (not at once).
  using Mapper = std::function<std::vector<reconcile::WorkKey>(const kube::ObjectPtr& old,
                                                               const kube::ObjectPtr& now)>;
  void watch(const kube::Kind& kind, Mapper mapper);

  void start();
  /// Waits for the reconciles in progress.
  void stop();

  /// From any thread; ignored while stopped.
  void enqueue(const reconcile::WorkKey& key);
  void enqueue_after(const reconcile::WorkKey& key, broker::Duration delay);

  /// For tests, instead of start(): adds every object, then works on this thread until nothing is
  /// due. Returns the number of reconciles.
  int run_until_idle(int limit = 10'000);

  struct Counters {
    std::atomic<std::uint64_t> reconciles{0};
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint64_t> busy_microseconds{0};
    /// How many took at most as long as kBuckets says; those of one bucket only.
    std::array<std::atomic<std::uint64_t>, 9> took{};
  };
  static constexpr std::array<std::chrono::microseconds, 8> kBuckets{
      std::chrono::milliseconds(1),     std::chrono::milliseconds(5),
      std::chrono::milliseconds(20),    std::chrono::milliseconds(100),
      std::chrono::milliseconds(500),   std::chrono::milliseconds(2000),
      std::chrono::milliseconds(10000), std::chrono::milliseconds(60000)};
  /// By kind; fixed after the last add().
  const std::map<std::string, std::unique_ptr<Counters>>& counters() const { return counters_; }
  std::size_t depth() const;

 private:
  void work(reconcile::WorkQueue& queue);
  void reconcile_one(reconcile::WorkQueue& queue, const reconcile::WorkKey& key);
  void enqueue_all();

  provider::ResourceStore& store_;
  const RunnerOptions options_;
  std::map<std::string, Controller*> controllers_;
  std::map<std::string, std::unique_ptr<Counters>> counters_;
  mutable std::mutex mutex_;
  std::shared_ptr<reconcile::WorkQueue> queue_;  // null while stopped
  std::vector<std::thread> workers_;
};

}  // namespace op::controllers
