#include "broker/controller/heartbeats.h"

#include <gtest/gtest.h>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct LostConnection : ::testing::Test {
  LostConnection() : world(2) {}
  BrokerEpoch epoch(int id) const { return world.image().cluster.broker(BrokerId{id})->epoch; }
  void lose(int id) { world.heartbeats().connection_lost(BrokerId{id}, epoch(id), world.now()); }
  std::optional<BrokerHeartbeats::Overdue> overdue() {
    return world.heartbeats().next_expired(world.image().cluster, world.now());
  }
  /// How long after a loss now the broker would be fenced.
  Duration grace(int id) {
    lose(id);
    const auto end = world.heartbeats().next_expiry(world.image().cluster, world.now());
    return *end - world.now();
  }
  TestCluster world;
};

TEST_F(LostConnection, MakesABrokerOverdueAfterAShortGrace) {
  world.advance(seconds(1));
  lose(0);
  world.advance(milliseconds(99));
  EXPECT_FALSE(overdue());
  world.advance(milliseconds(1));
  ASSERT_TRUE(overdue());
  EXPECT_EQ(overdue()->id, BrokerId{0});
  EXPECT_TRUE(overdue()->connection_lost);
}

TEST_F(LostConnection, IsForgivenWhenTheBrokerHeartbeatsAgain) {
  lose(0);
  world.advance(milliseconds(50));
  world.run(world.beat(0));
  world.advance(seconds(1));
  EXPECT_FALSE(overdue());
}

TEST_F(LostConnection, OfAnEarlierIncarnationMeansNothing) {
  world.heartbeats().connection_lost(BrokerId{0}, BrokerEpoch{epoch(0).value - 1}, world.now());
  world.advance(seconds(1));
  EXPECT_FALSE(overdue());
}

TEST_F(LostConnection, AgainAndAgainGetsAGrowingGraceUpToTheSessionTimeout) {
  std::vector<std::int64_t> graces;
  for (int i = 0; i < 6; ++i) {
    world.run(world.beat(0));
    world.run(world.beat(1));
    graces.push_back(std::chrono::duration_cast<milliseconds>(grace(0)).count());
    world.advance(milliseconds(50));
  }
  EXPECT_EQ(graces, (std::vector<std::int64_t>{100, 400, 1600, 6400, 9000, 9000}));
  world.advance(seconds(61));
  world.run(world.beat(0));
  world.run(world.beat(1));
  EXPECT_EQ(grace(0), milliseconds(100));
}

TEST_F(LostConnection, WaitsForTheSessionWhileAnotherBrokerIsSilent) {
  world.advance(milliseconds(3500));
  world.run(world.beat(0));
  lose(0);  // and nothing was heard of broker 1 for 3.5 s
  world.advance(milliseconds(200));
  EXPECT_FALSE(overdue());
  const auto next = world.heartbeats().next_expiry(world.image().cluster, world.now());
  EXPECT_EQ(*next - world.now(), milliseconds(100));
  world.run(world.beat(1));
  ASSERT_TRUE(overdue());
  EXPECT_EQ(overdue()->id, BrokerId{0});
}

TEST_F(LostConnection, EndsWithTheSessionWhoeverIsSilent) {
  world.advance(milliseconds(3500));
  world.run(world.beat(0));
  lose(0);
  world.advance(milliseconds(5500));
  ASSERT_TRUE(overdue());  // the silent one
  EXPECT_EQ(overdue()->id, BrokerId{1});
  EXPECT_FALSE(overdue()->connection_lost);
}

TEST_F(LostConnection, LetsARestartedBrokerRegisterAtOnce) {
  EXPECT_EQ(world.restart(0, false), ErrorCode::kDuplicateBrokerRegistration);
  lose(0);
  EXPECT_EQ(world.restart(0, false), ErrorCode::kNone);
  // The new one starts with a clean slate.
  world.run(world.beat(0));
  EXPECT_EQ(grace(0), milliseconds(100));
}

TEST(ControlledShutdown, MovesAllLeadersAndEndsWhenEverybodyKnows) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1}, {0, 2}, {1, 0}});
  auto leave = world.beat(0);
  leave.want_shut_down = true;
  auto response = world.run(leave);
  EXPECT_FALSE(response.should_shut_down);
  EXPECT_FALSE(response.is_fenced);
  EXPECT_EQ(world.context().partitions.leaderships(BrokerId{0}), 0u);
  EXPECT_EQ(world.partition("t", 2).isr, ids({1}));
  leave = world.beat(0);
  leave.want_shut_down = true;
  EXPECT_FALSE(world.run(leave).should_shut_down);
  world.run(world.beat(1));
  EXPECT_FALSE(world.run(leave).should_shut_down);
  world.run(world.beat(2));
  EXPECT_TRUE(world.run(leave).should_shut_down);
  EXPECT_TRUE(world.image().cluster.broker(BrokerId{0})->fenced);
}

TEST(ControlledShutdown, StartsToCountAnewWithANewController) {
  TestCluster world(2);
  world.add_topic("t", {{0, 1}});
  auto leave = world.beat(0);
  leave.want_shut_down = true;
  world.run(leave);
  world.heartbeats().reset(world.image().cluster, world.now());
  EXPECT_FALSE(world.run(leave).should_shut_down);
  world.run(world.beat(1));
  EXPECT_TRUE(world.run(leave).should_shut_down);
}

}  // namespace
}  // namespace broker::controller
