#include "broker/controller/reassignments.h"

#include <gtest/gtest.h>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

TEST(Reassignment, NewReplicasAreAddedAndTheOldOnesGoOnceTheNewOnesAreInSync) {
  TestCluster world(5);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(world.reassign("t", 0, {{2, 3, 4}}), "");
  const auto& moving = world.partition("t");
  EXPECT_EQ(moving.replicas, ids({2, 3, 4, 0, 1}));
  EXPECT_EQ(moving.adding_replicas, ids({3, 4}));
  EXPECT_EQ(moving.removing_replicas, ids({0, 1}));
  EXPECT_EQ(moving.leader, BrokerId{0});
  EXPECT_EQ(moving.leader_epoch, LeaderEpoch{0});  // nobody was dropped yet
  EXPECT_EQ(moving.directories.size(), 5u);
  EXPECT_EQ(moving.directory_of(BrokerId{3}), World::registration(3).log_dirs.front());

  EXPECT_EQ(world.alter_isr("t", 0, {0, 1, 2, 3}), ErrorCode::kNone);
  EXPECT_EQ(world.partition("t").replicas.size(), 5u);
  // The last one completes it, and takes the leader away.
  EXPECT_EQ(world.alter_isr("t", 0, {0, 1, 2, 3, 4}), ErrorCode::kNewLeaderElected);
  const auto& done = world.partition("t");
  EXPECT_EQ(done.replicas, ids({2, 3, 4}));
  EXPECT_EQ(done.isr, ids({2, 3, 4}));
  EXPECT_TRUE(done.adding_replicas.empty() && done.removing_replicas.empty());
  EXPECT_EQ(done.leader, BrokerId{2});
  EXPECT_EQ(done.leader_epoch, LeaderEpoch{1});
}

TEST(Reassignment, TheLeaderStaysButGetsANewEpochWhenOthersAreDropped) {
  TestCluster world(4);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(world.reassign("t", 0, {{0, 1, 3}}), "");
  EXPECT_EQ(world.alter_isr("t", 0, {0, 1, 2, 3}), ErrorCode::kNone);
  EXPECT_EQ(world.partition("t").replicas, ids({0, 1, 3}));
  EXPECT_EQ(world.partition("t").leader, BrokerId{0});
  EXPECT_EQ(world.partition("t").leader_epoch, LeaderEpoch{1});
}

TEST(Reassignment, ANewOrderOrFewerReplicasCompleteAtOnce) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(world.reassign("t", 0, {{2, 1, 0}}), "");
  EXPECT_EQ(world.partition("t").replicas, ids({2, 1, 0}));
  EXPECT_EQ(world.partition("t").leader, BrokerId{0});
  EXPECT_EQ(world.partition("t").leader_epoch, LeaderEpoch{0});
  EXPECT_EQ(world.reassign("t", 0, {{2}}), "");
  EXPECT_EQ(world.partition("t").replicas, ids({2}));
  EXPECT_EQ(world.partition("t").isr, ids({2}));
  EXPECT_EQ(world.partition("t").leader, BrokerId{2});
  // What is there already changes nothing.
  EXPECT_EQ(world.reassign("t", 0, {{2}}), "");
  EXPECT_EQ(world.last_records(), 0u);
}

TEST(Reassignment, FencingAnOldReplicaCanCompleteIt) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1}});
  EXPECT_EQ(world.reassign("t", 0, {{1, 2}}), "");
  EXPECT_EQ(world.alter_isr("t", 0, {0, 2}), ErrorCode::kNone);  // 1 lags
  EXPECT_FALSE(world.partition("t").removing_replicas.empty());
  world.fence(0);
  EXPECT_EQ(world.partition("t").leader, BrokerId{2});
  EXPECT_EQ(world.alter_isr("t", 0, {1, 2}), ErrorCode::kNone);
  EXPECT_EQ(world.partition("t").replicas, ids({1, 2}));
}

TEST(Reassignment, CancelGoesBackToTheReplicasFromBefore) {
  TestCluster world(5);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(world.reassign("t", 0, std::nullopt), "No partition reassignment is in progress.");
  EXPECT_EQ(world.last_code(), ErrorCode::kNoReassignmentInProgress);
  EXPECT_EQ(world.reassign("t", 0, {{3, 4}}), "");
  EXPECT_EQ(world.alter_isr("t", 0, {0, 1, 2, 3}), ErrorCode::kNone);
  EXPECT_EQ(world.reassign("t", 0, std::nullopt), "");
  const auto& back = world.partition("t");
  EXPECT_EQ(back.replicas, ids({0, 1, 2}));
  EXPECT_EQ(back.isr, ids({0, 1, 2}));
  EXPECT_TRUE(back.adding_replicas.empty() && back.removing_replicas.empty());
  EXPECT_EQ(back.leader_epoch, LeaderEpoch{1});  // 3 and 4 are fenced off
}

TEST(Reassignment, CancelThatWouldLoseRecordsNeedsUncleanElections) {
  TestCluster world(3);
  world.add_topic("t", {{0}});
  EXPECT_EQ(world.reassign("t", 0, {{1, 2}}), "");
  EXPECT_EQ(world.alter_isr("t", 0, {0, 1}), ErrorCode::kNone);
  world.fence(0);
  ASSERT_EQ(world.partition("t").isr, ids({1}));
  EXPECT_EQ(world.reassign("t", 0, std::nullopt),
            "Unable to revert partition assignment for t:0 because it would require an unclean "
            "leader election.");
  EXPECT_EQ(world.last_code(), ErrorCode::kInvalidReplicaAssignment);
  world.unfence(0);
  world.set_config("t", "unclean.leader.election.enable", "true");
  EXPECT_EQ(world.reassign("t", 0, std::nullopt), "");
  EXPECT_EQ(world.partition("t").replicas, ids({0}));
  EXPECT_EQ(world.partition("t").isr, ids({0}));
  EXPECT_EQ(world.partition("t").leader, BrokerId{0});
}

TEST(Reassignment, ANewTargetReplacesTheOneUnderWay) {
  TestCluster world(5);
  world.add_topic("t", {{0, 1}});
  EXPECT_EQ(world.reassign("t", 0, {{2, 3}}), "");
  EXPECT_EQ(world.reassign("t", 0, {{0, 4}}), "");
  const auto& moving = world.partition("t");
  EXPECT_EQ(moving.replicas, ids({0, 4, 1, 2, 3}));
  EXPECT_EQ(moving.adding_replicas, ids({4}));
  EXPECT_EQ(moving.removing_replicas, ids({1, 2, 3}));
  EXPECT_EQ(world.alter_isr("t", 0, {0, 1, 4}), ErrorCode::kNone);
  EXPECT_EQ(world.partition("t").replicas, ids({0, 4}));
  EXPECT_EQ(world.partition("t").isr, ids({0, 4}));
}

TEST(Reassignment, SaysWhatKafkaSaysAboutBadTargets) {
  TestCluster world(3);
  world.add_topic("t", {{0, 1}});
  EXPECT_EQ(world.reassign("no", 0, {{1}}), "Unable to find a topic named no.");
  EXPECT_EQ(world.last_code(), ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(world.reassign("t", 7, {{1}}), "Unable to find partition t:7.");
  EXPECT_EQ(world.reassign("t", 0, {{}}),
            "The manual partition assignment includes an empty replica list.");
  EXPECT_EQ(world.last_code(), ErrorCode::kInvalidReplicaAssignment);
  EXPECT_EQ(world.reassign("t", 0, {{9, 0, 0}}),
            "The manual partition assignment includes the broker 0 more than once.");
  EXPECT_EQ(world.reassign("t", 0, {{0, 9}}),
            "The manual partition assignment includes broker 9, but no such broker is "
            "registered.");
  EXPECT_EQ(world.reassign("t", 0, {{0, 1, 2}}, false),
            "The replication factor is changed from 2 to 3");
  EXPECT_EQ(world.last_code(), ErrorCode::kInvalidReplicationFactor);
  // A broker that is down may be a target: it will come back.
  world.fence(2);
  EXPECT_EQ(world.reassign("t", 0, {{0, 2}}, false), "");
}

TEST(Reassignment, ListShowsWhatIsUnderWay) {
  TestCluster world(4);
  world.add_topic("a", {{0, 1}, {1, 0}});
  world.add_topic("b", {{0, 1}});
  EXPECT_EQ(world.reassign("a", 1, {{2, 3}}), "");
  protocol::ListPartitionReassignmentsRequest request;
  auto response = world.run(request);
  ASSERT_EQ(response.topics.size(), 1u);
  EXPECT_EQ(response.topics[0].name, "a");
  ASSERT_EQ(response.topics[0].partitions.size(), 1u);
  EXPECT_EQ(response.topics[0].partitions[0].partition_index, 1);
  EXPECT_EQ(response.topics[0].partitions[0].adding_replicas, (std::vector<std::int32_t>{2, 3}));
  EXPECT_EQ(response.topics[0].partitions[0].removing_replicas, (std::vector<std::int32_t>{0, 1}));
  request.topics.emplace();
  request.topics->push_back({"a", {0}});
  request.topics->push_back({"b", {0}});
  EXPECT_TRUE(world.run(request).topics.empty());
  EXPECT_EQ(world.reassign("a", 1, std::nullopt), "");
  EXPECT_TRUE(world.run(protocol::ListPartitionReassignmentsRequest()).topics.empty());
}

}  // namespace
}  // namespace broker::controller
