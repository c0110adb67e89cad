#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

namespace broker::server {

/// How many bytes of requests the connections of one strand may hold at once. Owned by the strand.
class MemoryBudget {
 public:
  /// Bytes that are held; given back when it dies. Outlived by its budget.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(MemoryBudget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
      if (this != &other) {
        const Reservation old(std::move(*this));
        budget_ = std::exchange(other.budget_, nullptr);
        bytes_ = std::exchange(other.bytes_, 0);
      }
      return *this;
    }
    ~Reservation() {
      if (budget_ != nullptr) budget_->release(bytes_);
    }
    std::size_t bytes() const { return bytes_; }
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    MemoryBudget* budget_ = nullptr;
    std::size_t bytes_ = 0;
  };

  explicit MemoryBudget(std::size_t limit_bytes) : limit_(limit_bytes) {}

  /// Empty while others wait, so that a large request is not overtaken for ever.
  Reservation try_reserve(std::size_t bytes) {
    if (!waiters_.empty() || !fits(bytes)) return {};
    used_ += bytes;
    return Reservation(*this, bytes);
  }
  /// `granted` is called once, in the order of the calls; it may come from inside any destruction
  /// of a Reservation, so it should only note and post.
  void wait(std::size_t bytes, std::function<void(Reservation)> granted) {
    waiters_.push_back({bytes, std::move(granted)});
  }
  std::size_t used_bytes() const { return used_; }

 private:
  struct Waiter {
    std::size_t bytes;
    std::function<void(Reservation)> granted;
  };

  void release(std::size_t bytes) {
    used_ -= bytes;
    while (!waiters_.empty() && fits(waiters_.front().bytes)) {
      const Waiter next = std::move(waiters_.front());
      waiters_.pop_front();
      used_ += next.bytes;
      next.granted(Reservation(*this, next.bytes));
    }
  }
  /// What is larger than the whole budget gets in alone, or it would never.
  bool fits(std::size_t bytes) const {
    return used_ == 0 || bytes <= limit_ - std::min(limit_, used_);
  }

  const std::size_t limit_;
  std::size_t used_ = 0;
  std::deque<Waiter> waiters_;
};

}  // namespace broker::server
