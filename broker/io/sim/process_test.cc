#include <gtest/gtest.h>

#include "broker/io/sim/machine.h"

namespace broker::io::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ProcessTest : public ::testing::Test {
 protected:
  Scheduler scheduler{1};
  Network network{scheduler};
  Machine machine{scheduler, network, "a"};
  std::unique_ptr<Process> process = machine.boot(2);

  ~ProcessTest() override { machine.kill(*process); }
};

TEST_F(ProcessTest, PostedTasksKeepTheirOrder) {
  std::vector<int> ran;
  for (int i = 0; i < 5; ++i) process->main().post([&ran, i] { ran.push_back(i); });
  scheduler.run_for(seconds(1));
  EXPECT_EQ(ran, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(ProcessTest, ATimerRunsNotBeforeItsTimeAndNotWhenCancelled) {
  const Instant begin = scheduler.now();
  Instant ran{};
  bool cancelled_ran = false;
  process->main().post([&] {
    process->main().call_after(milliseconds(30), [&] { ran = process->main().now(); });
    const TimerId timer =
        process->main().call_after(milliseconds(20), [&] { cancelled_ran = true; });
    process->main().cancel(timer);
  });
  scheduler.run_for(seconds(1));
  EXPECT_GE(ran, begin + milliseconds(30));
  EXPECT_LT(ran, begin + milliseconds(40));
  EXPECT_FALSE(cancelled_ran);
}

TEST_F(ProcessTest, OnlyTheStrandThatRunsIsCurrent) {
  const auto strands = process->strands();
  bool checked = false;
  strands[1]->post([&] {
    EXPECT_TRUE(strands[1]->is_current());
    EXPECT_FALSE(strands[0]->is_current());
    checked = true;
  });
  scheduler.run_for(seconds(1));
  EXPECT_TRUE(checked);
  EXPECT_FALSE(strands[1]->is_current());
}

TEST_F(ProcessTest, AKilledProcessRunsNothingAnyMore) {
  bool ran = false;
  process->main().post([&] { machine.kill(*process); });
  process->main().post([&] { ran = true; });
  process->workers().run(
      process->main(), [] {}, [&] { ran = true; });
  scheduler.run_for(seconds(1));
  EXPECT_FALSE(ran);
}

TEST_F(ProcessTest, AFrozenProcessGoesOnWhereItWas) {
  const Instant begin = scheduler.now();
  Instant ran{};
  machine.freeze(*process, seconds(3));
  process->main().post([&] { ran = scheduler.now(); });
  scheduler.run_for(seconds(5));
  EXPECT_GE(ran, begin + seconds(3));
}

TEST_F(ProcessTest, WorkTakesAsLongAsItsDisk) {
  machine.disk().behaviour().min_sync_latency = milliseconds(50);
  machine.disk().behaviour().max_sync_latency = milliseconds(50);
  const Instant begin = scheduler.now();
  Instant done{};
  process->workers().run(
      process->main(),
      [&] {
        EXPECT_FALSE(process->main().is_current());
        auto file = process->files().open("/f", OpenMode::kCreate).value();
        ASSERT_TRUE(file->sync().ok());
      },
      [&] { done = process->main().now(); });
  scheduler.run_for(seconds(1));
  EXPECT_GE(done, begin + milliseconds(50));
  EXPECT_LT(done, begin + milliseconds(60));
}

TEST_F(ProcessTest, AMachinesWallClockMayBeWrong) {
  const WallMs right = process->main().wall_now();
  machine.set_clock_skew(-5000, process.get());
  EXPECT_EQ(process->main().wall_now(), right - 5000);
}

TEST(Scheduler, TheSameSeedGivesTheSameWorld) {
  const auto run = [](std::uint64_t seed) {
    Scheduler scheduler(seed);
    Network network(scheduler);
    Machine machine(scheduler, network, "a");
    auto process = machine.boot(3);
    const auto strands = process->strands();
    int rounds = 0;
    std::function<void(std::size_t)> again = [&](std::size_t from) {
      if (++rounds > 500) return;
      const std::size_t next = scheduler.rng().below(3);
      strands[next]->post([&again, next] { again(next); });
      if (from != next) strands[from]->post([&again, from] { again(from); });
    };
    strands[0]->post([&] { again(0); });
    scheduler.run_for(seconds(10));
    machine.kill(*process);
    return scheduler.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace broker::io::sim
