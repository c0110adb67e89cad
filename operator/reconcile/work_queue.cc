#include "operator/reconcile/work_queue.h"

namespace op::reconcile {

WorkQueue::WorkQueue(BackoffOptions backoff, std::uint64_t seed, Clock clock)
    : backoff_(backoff), clock_(clock), rng_(seed) {}

void WorkQueue::add_locked(const WorkKey& key) {
  if (shut_down_) return;
  if (const auto due = due_.find(key); due != due_.end()) {
    delayed_.erase({due->second, key});
    due_.erase(due);
  }
  if (processing_.contains(key)) {
    dirty_.insert(key);
    return;
  }
  if (!queued_.insert(key).second) return;
  ready_.push_back(key);
  wake_.notify_one();
}

void WorkQueue::add(const WorkKey& key) {
  const std::lock_guard lock(mutex_);
  add_locked(key);
}

void WorkQueue::add_after(const WorkKey& key, broker::Duration delay) {
  const std::lock_guard lock(mutex_);
  if (delay <= broker::Duration::zero()) return add_locked(key);
  if (shut_down_ || queued_.contains(key)) return;
  const broker::Instant when = clock_() + delay;
  if (const auto due = due_.find(key); due != due_.end()) {
    if (due->second <= when) return;
    delayed_.erase({due->second, key});
  }
  due_[key] = when;
  delayed_.emplace(when, key);
  wake_.notify_one();
}

broker::Duration WorkQueue::add_failed(const WorkKey& key) {
  broker::Duration delay;
  {
    const std::lock_guard lock(mutex_);
    delay = backoff_delay(backoff_, ++failures_[key], rng_);
  }
  add_after(key, delay);
  return delay;
}

void WorkQueue::forget(const WorkKey& key) {
  const std::lock_guard lock(mutex_);
  failures_.erase(key);
}

std::uint32_t WorkQueue::failures(const WorkKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::move_due_locked(broker::Instant now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    const WorkKey key = delayed_.begin()->second;
    add_locked(key);  // also takes it out of delayed_
  }
}

std::optional<WorkKey> WorkQueue::pop_locked() {
  if (ready_.empty()) return std::nullopt;
  WorkKey key = std::move(ready_.front());
  ready_.pop_front();
  queued_.erase(key);
  processing_.insert(key);
  return key;
}

std::optional<WorkKey> WorkQueue::take() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (shut_down_) return std::nullopt;
    move_due_locked(clock_());
    if (auto key = pop_locked()) return key;
    if (delayed_.empty()) {
      wake_.wait(lock);
    } else {
      const broker::Instant until = delayed_.begin()->first;
      wake_.wait_until(lock, until);
    }
  }
}

std::optional<WorkKey> WorkQueue::try_take() {
  const std::lock_guard lock(mutex_);
  if (shut_down_) return std::nullopt;
  move_due_locked(clock_());
  return pop_locked();
}

void WorkQueue::done(const WorkKey& key) {
  const std::lock_guard lock(mutex_);
  processing_.erase(key);
  if (dirty_.erase(key) > 0) add_locked(key);
}

void WorkQueue::shut_down() {
  const std::lock_guard lock(mutex_);
  shut_down_ = true;
  ready_.clear();
  queued_.clear();
  delayed_.clear();
  due_.clear();
  wake_.notify_all();
}

std::size_t WorkQueue::depth() const {
  const std::lock_guard lock(mutex_);
  return ready_.size() + processing_.size();
}

bool WorkQueue::idle() const {
  const std::lock_guard lock(mutex_);
  return ready_.empty() && processing_.empty();
}

std::optional<broker::Instant> WorkQueue::next_due() const {
  const std::lock_guard lock(mutex_);
  if (delayed_.empty()) return std::nullopt;
  return delayed_.begin()->first;
}

}  // namespace op::reconcile
