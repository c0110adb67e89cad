#include "broker/io/posix/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <future>

#include "broker/io/posix/signals.h"
#include "broker/io/posix/worker_pool.h"

namespace broker::io::posix {
namespace {

using namespace std::chrono_literals;

TEST(EventLoop, RunsPostedTasksInOrderOnItsThread) {
  EventLoop loop;
  std::vector<int> seen;
  for (int i = 0; i < 100; ++i)
    loop.post([&, i] {
      loop.check_current();
      seen.push_back(i);
    });
  loop.start();
  loop.stop();
  loop.join();
  ASSERT_EQ(seen.size(), 100u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_FALSE(loop.is_current());
}

TEST(EventLoop, TimersRunInTheirOrderAndCancelledOnesDoNot) {
  EventLoop loop;
  std::string order;
  loop.post([&] {
    loop.call_after(20ms, [&] {
      order += "c";
      loop.stop();
    });
    loop.call_after(10ms, [&] { order += "b"; });
    const TimerId cancelled = loop.call_after(5ms, [&] { order += "x"; });
    loop.call_after(1ms, [&, cancelled] {
      order += "a";
      loop.cancel(cancelled);
      loop.cancel(cancelled);
    });
  });
  loop.run();
  EXPECT_EQ(order, "abc");
}

TEST(EventLoop, ATaskPostedFromManyThreadsIsNeverLost) {
  EventLoop loop;
  loop.start();
  std::atomic<int> ran = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) loop.post([&] { ++ran; });
    });
  for (auto& thread : threads) thread.join();
  loop.stop();
  loop.join();
  EXPECT_EQ(ran, 20000);
}

TEST(EventLoop, DestroysWhatNeverRan) {
  auto token = std::make_shared<int>(1);
  {
    EventLoop loop;
    loop.post([token] {});
    loop.call_after(1h, [token] {});
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(WorkerPool, RunsWorkElsewhereAndTheEndAtHome) {
  EventLoop loop;
  loop.start();
  const auto pool = make_worker_pool(2);
  std::promise<bool> worked_elsewhere;
  bool elsewhere = false;
  pool->run(
      loop, [&] { elsewhere = !loop.is_current(); },
      [&] { worked_elsewhere.set_value(elsewhere && loop.is_current()); });
  EXPECT_TRUE(worked_elsewhere.get_future().get());
}

TEST(Signals, ArriveOnTheLoop) {
  EventLoop loop;
  loop.start();
  std::promise<int> got;
  auto watcher = watch_signals(loop, {SIGUSR1}, [&](int signal) {
    loop.check_current();
    got.set_value(signal);
  });
  ::raise(SIGUSR1);
  EXPECT_EQ(got.get_future().get(), SIGUSR1);
  loop.stop();
  loop.join();
}

}  // namespace
}  // namespace broker::io::posix
