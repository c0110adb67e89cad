#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>

namespace broker::server {

/// How many bytes of requests the connections of one strand may hold at once. Owned by the strand.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit_bytes) : limit_(limit_bytes) {}

  /// Fails while others wait, so that a large request is not overtaken for ever.
  bool try_reserve(std::size_t bytes) {
    if (!waiters_.empty() || !fits(bytes)) return false;
    used_ += bytes;
    return true;
  }
  /// `granted` is called once, in the order of the calls, with the bytes already reserved; it
  /// returns false to give them back (its connection is gone). It must not call the budget.
  void wait(std::size_t bytes, std::function<bool()> granted) {
    waiters_.push_back({bytes, std::move(granted)});
  }
  void release(std::size_t bytes) {
    used_ -= bytes;
    while (!waiters_.empty() && fits(waiters_.front().bytes)) {
      const Waiter next = std::move(waiters_.front());
      waiters_.pop_front();
      used_ += next.bytes;
      if (!next.granted()) used_ -= next.bytes;
    }
  }
  std::size_t used_bytes() const { return used_; }

 private:
  struct Waiter {
    std::size_t bytes;
    std::function<bool()> granted;
  };

  /// What is larger than the whole budget gets in alone, or it would never.
  bool fits(std::size_t bytes) const {
    return used_ == 0 || bytes <= limit_ - std::min(limit_, used_);
  }

  const std::size_t limit_;
  std::size_t used_ = 0;
  std::deque<Waiter> waiters_;
};

}  // namespace broker::server
