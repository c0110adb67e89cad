#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "broker/common/rng.h"
#include "broker/common/time.h"
#include "operator/reconcile/backoff.h"
#include "operator/reconcile/types.h"

namespace op::reconcile {

/// Names waiting to be reconciled. A name stands in the queue at most once however often it is
/// added; while a worker has it, it is handed to nobody else, and an add() in that time makes it
/// come back when the worker is done. Bounded by the number of distinct names. Thread-safe.
class WorkQueue {
 public:
  using Clock = broker::Instant (*)();
  explicit WorkQueue(BackoffOptions backoff = {}, std::uint64_t seed = broker::Rng::os_seed(),
                     Clock clock = &std::chrono::steady_clock::now);

  /// As soon as possible.
  void add(const WorkKey& key);
  /// Not before `delay` from now; an earlier time that is already set stays.
  void add_after(const WorkKey& key, broker::Duration delay);
  /// After the key's back-off, which grows with each call until forget(). Returns the delay.
  broker::Duration add_failed(const WorkKey& key);
  /// The key succeeded: its back-off starts anew.
  void forget(const WorkKey& key);
  std::uint32_t failures(const WorkKey& key) const;

  /// Blocks until a key is due or the queue is shut down (then nullopt). done() must follow.
  std::optional<WorkKey> take();
  /// As take(), but returns nullopt at once when nothing is due: for tests and single-threaded
  /// drivers.
  std::optional<WorkKey> try_take();
  void done(const WorkKey& key);

  /// Wakes all takers; keys still queued are dropped.
  void shut_down();

  std::size_t depth() const;  // ready or in work, without delayed ones
  bool idle() const;          // nothing ready and nothing in work
  /// When the next delayed key is due; nullopt when there is none.
  std::optional<broker::Instant> next_due() const;

 private:
  void add_locked(const WorkKey& key);
  void move_due_locked(broker::Instant now);
  std::optional<WorkKey> pop_locked();

  const BackoffOptions backoff_;
  const Clock clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  broker::Rng rng_;
  std::deque<WorkKey> ready_;
  std::unordered_set<WorkKey> queued_;      // in ready_
  std::unordered_set<WorkKey> processing_;  // with a worker
  std::unordered_set<WorkKey> dirty_;       // added while with a worker
  std::set<std::pair<broker::Instant, WorkKey>> delayed_;
  std::unordered_map<WorkKey, broker::Instant> due_;
  std::unordered_map<WorkKey, std::uint32_t> failures_;
  bool shut_down_ = false;
};

}  // namespace op::reconcile
