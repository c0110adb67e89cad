#pragma once

#include <future>
#include <utility>

#include "broker/io/strand.h"

namespace broker::node {

/// Runs `work` on `strand` and waits for its result. From a thread that is no strand.
template <class Work>
auto run_and_wait(io::Strand& strand, Work work) {
  using R = decltype(work());
  std::promise<R> promise;
  auto future = promise.get_future();
  strand.post([&] {
    if constexpr (std::is_void_v<R>) {
      work();
      promise.set_value();
    } else {
      promise.set_value(work());
    }
  });
  return future.get();
}

/// Runs `work(done)` on `strand` and waits until `done(value)` was called, on any thread.
template <class R, class Work>
R run_until_done(io::Strand& strand, Work work) {
  auto promise = std::make_shared<std::promise<R>>();
  auto future = promise->get_future();
  strand.post([work = std::move(work), promise]() mutable {
    work([promise](R value) { promise->set_value(std::move(value)); });
  });
  return future.get();
}

}  // namespace broker::node
