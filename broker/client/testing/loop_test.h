#pragma once

// A loop with its thread and a transport, for tests only.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/transport.h"

namespace broker::client {

class LoopTest : public testing::Test {
 protected:
  LoopTest() { loop_.start(); }
  ~LoopTest() override {
    loop_.stop();
    loop_.join();
  }

  /// Runs on the loop and waits for it: what lives there is touched in no other way.
  template <class F>
  auto on_loop(F&& f) {
    std::promise<decltype(f())> result;
    loop_.post([&] {
      if constexpr (std::is_void_v<decltype(f())>) {
        f();
        result.set_value();
      } else {
        result.set_value(f());
      }
    });
    return result.get_future().get();
  }

  /// Looks on the loop until `condition` holds; false after ten seconds.
  template <class F>
  bool eventually(F&& condition) {
    for (int i = 0; i < 10'000; ++i) {
      if (on_loop(condition)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::unique_ptr<io::Transport> transport_ = io::posix::make_posix_transport();
  io::posix::EventLoop loop_{"test"};
};

}  // namespace broker::client
