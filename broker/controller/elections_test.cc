// Who leads after what: eligible leader replicas (KIP-966), unclean and preferred elections.
#include <gtest/gtest.h>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;
using metadata::LeaderRecoveryState;

constexpr std::int8_t kPreferred = 0;
constexpr std::int8_t kUnclean = 1;

/// Three replicas, min.insync.replicas=2, ELR on.
struct Elr : ::testing::Test {
  Elr() : world(3) {
    world.finalise("eligible.leader.replicas.version", 1);
    world.add_topic("t", {{0, 1, 2}});
    world.set_config("t", "min.insync.replicas", "2");
  }
  const metadata::PartitionRegistration& p() const { return world.partition("t"); }
  TestCluster world;
};

TEST_F(Elr, WhoLeavesAnIsrBelowTheMinimumStaysEligible) {
  world.fence(2);
  EXPECT_EQ(p().isr, ids({0, 1}));
  EXPECT_TRUE(p().elr.empty());
  world.fence(1);
  EXPECT_EQ(p().isr, ids({0}));
  EXPECT_EQ(p().elr, ids({1}));
  world.fence(0);
  EXPECT_TRUE(p().isr.empty());
  EXPECT_EQ(p().elr, ids({0, 1}));
  EXPECT_EQ(p().leader, kNoLeader);
  EXPECT_EQ(p().last_known_elr, ids({0}));
}

TEST_F(Elr, AnEligibleReplicaLeadsAgainWithoutLosingAnything) {
  for (const int id : {2, 1, 0}) world.fence(id);
  world.unfence(2);
  EXPECT_EQ(p().leader, kNoLeader);  // 2 left while others went on
  world.unfence(1);
  EXPECT_EQ(p().leader, BrokerId{1});
  EXPECT_EQ(p().isr, ids({1}));
  EXPECT_EQ(p().elr, ids({0}));
  EXPECT_TRUE(p().last_known_elr.empty());
  EXPECT_EQ(p().leader_recovery_state, LeaderRecoveryState::kRecovered);
  EXPECT_EQ(world.alter_isr("t", 0, {1, 2}), ErrorCode::kNone);
  EXPECT_TRUE(p().elr.empty());
}

TEST_F(Elr, ACrashTakesABrokerOutOfTheElrAndACleanRestartDoesNot) {
  for (const int id : {2, 1, 0}) world.fence(id);
  world.advance(std::chrono::seconds(10));
  EXPECT_EQ(world.restart(1, true), ErrorCode::kNone);
  EXPECT_EQ(p().elr, ids({0, 1}));
  EXPECT_EQ(world.restart(0, false), ErrorCode::kNone);
  EXPECT_EQ(p().elr, ids({1}));
  world.advance(std::chrono::seconds(10));
  EXPECT_EQ(world.restart(1, false), ErrorCode::kNone);
  EXPECT_TRUE(p().elr.empty());
  // Nobody is known to have everything; the last leader has most.
  world.unfence(1);
  EXPECT_EQ(p().leader, kNoLeader);
  world.unfence(0);
  EXPECT_EQ(p().leader, BrokerId{0});
  EXPECT_EQ(p().isr, ids({0}));
  EXPECT_EQ(p().leader_recovery_state, LeaderRecoveryState::kRecovering);
}

TEST_F(Elr, ACrashedBrokerThatWasNotFencedYetLeavesTheIsrWithoutBecomingEligible) {
  world.fence(2);
  world.advance(std::chrono::seconds(10));
  EXPECT_EQ(world.restart(1, false), ErrorCode::kNone);
  EXPECT_EQ(p().isr, ids({0}));
  EXPECT_TRUE(p().elr.empty());
}

TEST_F(Elr, AnUnregisteredBrokerIsOutOfBoth) {
  for (const int id : {2, 1}) world.fence(id);
  protocol::UnregisterBrokerRequest request;
  request.broker_id = 1;
  EXPECT_EQ(world.run(request).error_code, 0);
  EXPECT_TRUE(p().elr.empty());
  request.broker_id = 0;
  world.run(request);
  EXPECT_TRUE(p().isr.empty());
  EXPECT_EQ(p().leader, kNoLeader);
}

TEST_F(Elr, SwitchedOffTheLastInSyncReplicaStays) {
  world.finalise("eligible.leader.replicas.version", 0);
  for (const int id : {2, 1, 0}) world.fence(id);
  EXPECT_EQ(p().isr, ids({0}));
  EXPECT_TRUE(p().elr.empty());
  world.unfence(1);
  EXPECT_EQ(p().leader, kNoLeader);
  world.unfence(0);
  EXPECT_EQ(p().leader, BrokerId{0});
}

TEST(UncleanElection, HappensOnRequestAndLeavesOneRecoveringReplica) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1, 2}});
  for (const int id : {2, 1}) world.fence(id);
  EXPECT_EQ(world.elect("t", 0, kUnclean), ErrorCode::kElectionNotNeeded);
  world.fence(0);
  EXPECT_EQ(world.elect("t", 0, kUnclean), ErrorCode::kEligibleLeadersNotAvailable);
  world.unfence(2);
  EXPECT_EQ(world.partition("t").leader, kNoLeader);
  EXPECT_EQ(world.elect("t", 0, kUnclean), ErrorCode::kNone);
  const auto& p = world.partition("t");
  EXPECT_EQ(p.leader, BrokerId{2});
  EXPECT_EQ(p.isr, ids({2}));
  EXPECT_EQ(p.leader_recovery_state, LeaderRecoveryState::kRecovering);
  world.unfence(1);
  EXPECT_EQ(world.alter_isr("t", 0, {2, 1}, 1), ErrorCode::kInvalidRequest);
  EXPECT_EQ(world.alter_isr("t", 0, {2, 1}, 0), ErrorCode::kNone);
  EXPECT_EQ(world.partition("t").leader_recovery_state, LeaderRecoveryState::kRecovered);
}

TEST(UncleanElection, FollowsFromTheTopicsConfigAtOnceOrWithTheSweep) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1, 2}});
  world.add_topic("later", {{0, 1, 2}});
  world.set_config("t", "unclean.leader.election.enable", "true");
  for (const int id : {2, 1, 0}) world.fence(id);
  world.unfence(1);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_EQ(world.partition("later").leader, kNoLeader);
  EXPECT_TRUE(elect_unclean_leaders(world.context(), 10).empty());
  world.set_config("later", "unclean.leader.election.enable", "true");
  world.replay(elect_unclean_leaders(world.context(), 10));
  EXPECT_EQ(world.partition("later").leader, BrokerId{1});
  EXPECT_TRUE(world.context().partitions.leaderless().empty());
}

TEST(PreferredElection, GivesLeadershipBackOnRequestAndByItself) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1}, {1, 0}, {0, 2}});
  world.fence(0);
  world.unfence(0);
  EXPECT_EQ(world.context().partitions.imbalanced().size(), 2u);
  EXPECT_EQ(world.elect("t", 0, kPreferred), ErrorCode::kPreferredLeaderNotAvailable);
  EXPECT_EQ(world.elect("t", 1, kPreferred), ErrorCode::kElectionNotNeeded);
  EXPECT_TRUE(elect_preferred_leaders(world.context(), 10).empty());
  EXPECT_EQ(world.alter_isr("t", 0, {1, 0}), ErrorCode::kNone);
  EXPECT_EQ(world.alter_isr("t", 2, {2, 0}), ErrorCode::kNone);
  EXPECT_EQ(elect_preferred_leaders(world.context(), 1).size(), 1u);
  world.replay(elect_preferred_leaders(world.context(), 10));
  EXPECT_EQ(world.partition("t", 0).leader, BrokerId{0});
  EXPECT_EQ(world.partition("t", 2).leader, BrokerId{0});
  EXPECT_TRUE(world.context().partitions.imbalanced().empty());
}

}  // namespace
}  // namespace broker::controller
