#pragma once

#include <atomic>
#include <memory>

namespace broker::io {

/// One immutable value that one strand replaces and all strands read. A reader keeps what it took
/// for its whole request.
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> initial) : value_(std::move(initial)) {}

  std::shared_ptr<const T> get() const { return value_.load(std::memory_order_acquire); }
  void set(std::shared_ptr<const T> value) {
    value_.store(std::move(value), std::memory_order_release);
  }

 private:
  std::atomic<std::shared_ptr<const T>> value_;
};

}  // namespace broker::io
