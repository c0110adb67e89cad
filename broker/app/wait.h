#pragma once

#include <future>
#include <memory>
#include <utility>

#include "broker/io/strand.h"

namespace broker::app {

/// Runs `work(done)` on `strand` and waits until `done(value)` was called, on any thread. From a
/// thread that is no strand.
template <class R, class Work>
R run_until_done(io::Strand& strand, Work work) {
  auto promise = std::make_shared<std::promise<R>>();
  auto future = promise->get_future();
  strand.post([work = std::move(work), promise]() mutable {
    work([promise](R value) { promise->set_value(std::move(value)); });
  });
  return future.get();
}

}  // namespace broker::app
