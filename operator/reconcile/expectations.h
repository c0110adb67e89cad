#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "broker/common/time.h"
#include "operator/reconcile/types.h"

namespace op::reconcile {

/// What was written but not yet seen. A reconcile that runs before the watch has caught up would
/// otherwise write it again. Each expectation lapses at its deadline, because the watch may have
/// missed it for a good reason (somebody undid the write). Thread-safe.
class Expectations {
 public:
  /// Replaces an earlier expectation of the same object.
  void expect(const WorkKey& key, std::string what, broker::Instant deadline) {
    const std::lock_guard lock(mutex_);
    pending_[key] = Pending{std::move(what), deadline};
  }
  /// The world shows it.
  void fulfil(const WorkKey& key) {
    const std::lock_guard lock(mutex_);
    pending_.erase(key);
  }
  /// What is still awaited; empty when nothing is, or when it has lapsed (it is dropped then).
  std::string pending(const WorkKey& key, broker::Instant now) {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(key);
    if (found == pending_.end()) return {};
    if (found->second.deadline <= now) {
      pending_.erase(found);
      return {};
    }
    return found->second.what;
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return pending_.size();
  }

 private:
  struct Pending {
    std::string what;
    broker::Instant deadline;
  };
  mutable std::mutex mutex_;
  std::unordered_map<WorkKey, Pending> pending_;
};

}  // namespace op::reconcile
