#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "operator/reconcile/expectations.h"
#include "operator/reconcile/lease_rule.h"
#include "operator/reconcile/object_cache.h"
#include "operator/reconcile/rate_limit.h"
#include "operator/reconcile/work_queue.h"

namespace op::reconcile {
namespace {

using namespace std::chrono_literals;

broker::Instant g_now{};
broker::Instant fake_now() { return g_now; }

WorkKey key(const char* name) { return {"Topic", {"ns", name}}; }

class Queue : public ::testing::Test {
 protected:
  void SetUp() override { g_now = broker::Instant{} + 1h; }
  WorkQueue queue_{{10ms, 1s, 0.0}, 1, &fake_now};
};

TEST_F(Queue, HandsOutANameOnceHoweverOftenItWasAdded) {
  queue_.add(key("a"));
  queue_.add(key("a"));
  EXPECT_EQ(queue_.try_take(), key("a"));
  EXPECT_EQ(queue_.try_take(), std::nullopt);
}

TEST_F(Queue, AnAddDuringWorkComesBackAfterDoneAndNotBefore) {
  queue_.add(key("a"));
  ASSERT_TRUE(queue_.try_take());
  queue_.add(key("a"));
  EXPECT_EQ(queue_.try_take(), std::nullopt);
  queue_.done(key("a"));
  EXPECT_EQ(queue_.try_take(), key("a"));
}

TEST_F(Queue, DelayedKeysComeWhenDueAndTheEarlierTimeWins) {
  queue_.add_after(key("a"), 5s);
  queue_.add_after(key("a"), 1s);
  queue_.add_after(key("a"), 9s);
  g_now += 999ms;
  EXPECT_EQ(queue_.try_take(), std::nullopt);
  g_now += 1ms;
  EXPECT_EQ(queue_.try_take(), key("a"));
  queue_.done(key("a"));
  g_now += 1h;
  EXPECT_EQ(queue_.try_take(), std::nullopt);
}

TEST_F(Queue, ADueKeyIsNotHandedOutWhileItIsInWork) {
  queue_.add(key("a"));
  ASSERT_TRUE(queue_.try_take());
  queue_.add_after(key("a"), 1ms);
  g_now += 1s;
  EXPECT_EQ(queue_.try_take(), std::nullopt);
  queue_.done(key("a"));
  EXPECT_EQ(queue_.try_take(), key("a"));
}

TEST_F(Queue, BackOffDoublesUpToItsLimitAndForgetStartsAnew) {
  EXPECT_EQ(queue_.add_failed(key("a")), 10ms);
  EXPECT_EQ(queue_.add_failed(key("a")), 20ms);
  for (int i = 0; i < 40; ++i) queue_.add_failed(key("a"));
  EXPECT_EQ(queue_.add_failed(key("a")), 1s);
  queue_.forget(key("a"));
  EXPECT_EQ(queue_.add_failed(key("a")), 10ms);
}

TEST(WorkQueueThreads, NoKeyIsEverWithTwoWorkersAndNoAddIsLost) {
  WorkQueue queue;
  std::atomic<int> in_work[4] = {};
  std::atomic<int> wanted[4] = {};
  std::atomic<int> seen[4] = {};
  std::atomic<bool> clash{false};
  std::vector<std::jthread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      while (const auto k = queue.take()) {
        const int i = k->object.name[0] - '0';
        if (in_work[i].fetch_add(1) != 0) clash = true;
        seen[i] = wanted[i].load();
        in_work[i].fetch_sub(1);
        queue.done(*k);
      }
    });
  }
  for (int round = 1; round <= 2000; ++round) {
    const int i = round % 4;
    wanted[i] = round;
    queue.add(key(std::to_string(i).c_str()));
  }
  while (!queue.idle()) std::this_thread::yield();
  queue.shut_down();
  workers.clear();
  EXPECT_FALSE(clash);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(seen[i], wanted[i]) << i;
}

TEST(ObjectCache, IndexesFollowPutsAndErases) {
  ObjectCache<std::string> cache;
  cache.add_index("first",
                  [](const std::string& s) { return std::vector<std::string>{s.substr(0, 1)}; });
  cache.put({"ns", "1"}, std::make_shared<std::string>("apple"));
  cache.put({"ns", "2"}, std::make_shared<std::string>("avocado"));
  EXPECT_EQ(cache.find("first", "a").size(), 2u);
  cache.put({"ns", "1"}, std::make_shared<std::string>("banana"));
  EXPECT_EQ(cache.find("first", "a").size(), 1u);
  cache.erase({"ns", "2"});
  EXPECT_TRUE(cache.find("first", "a").empty());
  EXPECT_EQ(cache.list().size(), 1u);
}

TEST(Expectations, LapseAtTheirDeadline) {
  Expectations expectations;
  const broker::Instant now{};
  expectations.expect(key("a"), "created", now + 1s);
  EXPECT_EQ(expectations.pending(key("a"), now), "created");
  EXPECT_EQ(expectations.pending(key("a"), now + 1s), "");
}

TEST(LeaseRule, TakesAFreeLeaseAndActsOnlyAfterTheWriteSucceeded) {
  LeaseRule rule({}, "a");
  const broker::Instant now{};
  EXPECT_EQ(rule.observe(std::nullopt, now), LeaseAction::kAcquire);
  EXPECT_FALSE(rule.may_act(now));
  rule.wrote(now, "1");
  EXPECT_TRUE(rule.may_act(now + 9s));
  EXPECT_FALSE(rule.may_act(now + 10s));
}

TEST(LeaseRule, AHolderStopsActingWellBeforeOthersMayTakeAShorterLeaseToo) {
  for (const auto duration : {3s, 15s, 300s}) {
    const LeaseOptions options = LeaseOptions::lasting(duration);
    EXPECT_EQ(options.duration, duration);
    EXPECT_LE(options.renew_deadline, duration * 3 / 4);
    EXPECT_GE(options.renew_deadline, 4 * options.retry_period);
  }
}

TEST(LeaseRule, WaitsTheWholeDurationFromWhenItFirstSawTheRecord) {
  LeaseRule rule({}, "b");
  const broker::Instant now{};
  const LeaseRecord held{"a", "7", 15, 0};
  EXPECT_EQ(rule.observe(held, now), LeaseAction::kWait);
  EXPECT_EQ(rule.observe(held, now + 14s), LeaseAction::kWait);
  const LeaseRecord renewed{"a", "8", 15, 0};
  EXPECT_EQ(rule.observe(renewed, now + 14s), LeaseAction::kWait);
  EXPECT_EQ(rule.observe(renewed, now + 28s), LeaseAction::kWait);
  EXPECT_EQ(rule.observe(renewed, now + 29s), LeaseAction::kAcquire);
}

// Two processes against one lease, with every write and every read delayed at random: whoever
// thinks that it may act is alone.
TEST(LeaseRule, AtMostOneOfTwoMayAct) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    broker::Rng rng(seed);
    std::optional<LeaseRecord> lease;
    int version = 0;
    LeaseRule rules[2] = {{{}, "a"}, {{}, "b"}};
    broker::Instant next[2] = {};
    broker::Instant now{};
    for (int step = 0; step < 2000; ++step, now += 100ms) {
      for (int i = 0; i < 2; ++i) {
        if (now < next[i]) continue;
        next[i] =
            now + std::chrono::milliseconds(500 + rng.below(rng.below(20) == 0 ? 30000 : 3000));
        const auto read = lease;  // what the API server answered
        const auto action = rules[i].observe(read, now);
        if (action == LeaseAction::kWait) continue;
        const std::string read_version = read ? read->version : "";
        if ((lease ? lease->version : "") != read_version) continue;  // conflict
        lease = LeaseRecord{rules[i].identity(), std::to_string(++version), 15, 0};
        rules[i].wrote(now, lease->version);
      }
      ASSERT_FALSE(rules[0].may_act(now) && rules[1].may_act(now));
    }
  }
}

TEST(RateLimit, GivesABurstThenTheRate) {
  const broker::Instant start{};
  RateLimit limit(10, 2, start);
  EXPECT_EQ(limit.try_take(start), 0s);
  EXPECT_EQ(limit.try_take(start), 0s);
  EXPECT_GT(limit.try_take(start), 90ms);
  EXPECT_EQ(limit.try_take(start + 100ms), 0s);
}

}  // namespace
}  // namespace op::reconcile
