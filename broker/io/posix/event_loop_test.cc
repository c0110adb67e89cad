#include "broker/io/posix/event_loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

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

TEST(EventLoop, ATimerThatIsAlwaysDueLeavesRoomForOthers) {
  EventLoop loop;
  int turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    loop.call_at(loop.now(), again);
  };
  std::thread outside;
  loop.post([&] {
    again();
    outside = std::thread([&] { loop.post([&] { loop.stop(); }); });
  });
  loop.run();
  outside.join();
  EXPECT_GT(turns, 0);
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

/// Calls `done` on `home` after `hops` posts that go round the loops.
void go_round(std::vector<EventLoop*> loops, std::size_t at, int hops, std::function<void()> done) {
  loops[at]->check_current();
  if (hops == 0) return done();
  const std::size_t next = (at + 1) % loops.size();
  loops[next]->post([=] { go_round(loops, next, hops - 1, done); });
}

TEST(EventLoop, NoPostBetweenLoopsIsLostWhoeverRunsThem) {
  EventLoop a("a"), b("b"), c("c");
  const std::vector<EventLoop*> loops{&a, &b, &c};
  for (EventLoop* loop : loops) loop->start();
  std::atomic<int> left = 4;
  std::promise<void> all;
  for (std::size_t i = 0; i < 4; ++i) {
    loops[i % 3]->post([&, i] {
      go_round(loops, i % 3, 20'000, [&] {
        if (--left == 0) all.set_value();
      });
    });
  }
  ASSERT_EQ(all.get_future().wait_for(20s), std::future_status::ready);
}

TEST(EventLoop, ATimerSetByAVisitedTaskRunsInTime) {
  EventLoop awake("awake"), asleep("asleep");
  awake.start();
  asleep.start();
  std::promise<Duration> late;
  std::this_thread::sleep_for(20ms);  // both wait for events without an end
  awake.post([&] {
    asleep.post([&] {
      asleep.check_current();
      EXPECT_FALSE(awake.is_current());
      const Instant due = asleep.now() + 5ms;
      asleep.call_at(due, [&late, due] { late.set_value(std::chrono::steady_clock::now() - due); });
    });
  });
  auto lateness = late.get_future();
  ASSERT_EQ(lateness.wait_for(10s), std::future_status::ready);
  EXPECT_GE(lateness.get(), 0ms);
}

class ClosesItself final : public FdHandler {
 public:
  ClosesItself(EventLoop& loop, int fd) : loop_(loop), fd_(fd) { loop.add_fd(fd, EPOLLIN, *this); }
  ~ClosesItself() { loop_.remove_fd(fd_, *this); }
  void on_events(std::uint32_t) override { ++events; }
  int events = 0;

 private:
  EventLoop& loop_;
  const int fd_;
};

TEST(EventLoop, AHandlerRemovedByAVisitorGetsNoEventAnyMore) {
  EventLoop awake("awake"), other("other");
  awake.start();
  other.start();
  const UniqueFd readable(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  for (int round = 0; round < 2000; ++round) {
    std::promise<void> removed;
    awake.post([&] {
      other.post([&] {
        auto handler = std::make_unique<ClosesItself>(other, readable.get());
        ClosesItself* const raw = handler.get();
        // The loop's own thread may be learning of the event while the handler dies.
        awake.post([&, raw] {
          other.post([&, raw] {
            delete raw;
            removed.set_value();
          });
        });
        handler.release();
      });
    });
    ASSERT_EQ(removed.get_future().wait_for(10s), std::future_status::ready);
  }
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
