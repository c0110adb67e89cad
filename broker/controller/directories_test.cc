#include "broker/controller/directories.h"

#include <gtest/gtest.h>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;

/// Broker 0 with two directories, broker 1 with one.
struct Directories : ::testing::Test {
  Directories() {
    auto request = World::registration(0);
    request.log_dirs = {kFirst, kSecond};
    world.run(request);
    world.run(world.beat(0));
    world.add_broker(1);
    world.add_topic("t", {{0, 1}, {0, 1}, {1, 0}});
  }
  protocol::AssignReplicasToDirsResponse assign(const DirectoryId& directory,
                                                std::vector<std::int32_t> partitions) {
    protocol::AssignReplicasToDirsRequest request;
    request.broker_id = 0;
    request.broker_epoch = world.image().cluster.broker(BrokerId{0})->epoch.value;
    protocol::AssignReplicasToDirsRequest::TopicData topic;
    topic.topic_id = world.image().topics.find("t")->id;
    for (const std::int32_t p : partitions) topic.partitions.push_back({p});
    request.directories.push_back({directory, {topic}});
    return world.run(request);
  }

  const DirectoryId kFirst{500, 1};
  const DirectoryId kSecond{500, 2};
  TestCluster world;
};

TEST_F(Directories, ABrokerSaysWhereItsReplicasAre) {
  EXPECT_EQ(world.partition("t").directory_of(BrokerId{0}), kDirectoryUnassigned);
  const auto response = assign(kSecond, {0, 7});
  EXPECT_EQ(response.error_code, 0);
  const auto& results = response.directories.at(0).topics.at(0).partitions;
  EXPECT_EQ(results.at(0).error_code, 0);
  EXPECT_EQ(code_of(results.at(1).error_code), ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(world.partition("t").directory_of(BrokerId{0}), kSecond);
  EXPECT_EQ(world.partition("t").leader_epoch, LeaderEpoch{0});
  assign(kSecond, {0});
  EXPECT_EQ(world.last_records(), 0u);
}

TEST_F(Directories, AReplicaInADirectoryThatIsNotOnlineIsOut) {
  EXPECT_EQ(assign(DirectoryId{9, 9}, {0}).error_code, 0);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_EQ(world.partition("t").isr, ids({1}));
}

TEST_F(Directories, ADirectoryThatFailsTakesItsReplicasOutAndNoOthers) {
  assign(kFirst, {0});
  assign(kSecond, {1, 2});
  auto beat = world.beat(0);
  beat.offline_log_dirs = {kSecond};
  world.run(beat);
  EXPECT_EQ(world.image().cluster.broker(BrokerId{0})->log_dirs, std::vector<DirectoryId>{kFirst});
  EXPECT_EQ(world.partition("t", 0).leader, BrokerId{0});
  EXPECT_EQ(world.partition("t", 1).leader, BrokerId{1});
  EXPECT_EQ(world.partition("t", 1).isr, ids({1}));
  EXPECT_EQ(world.partition("t", 2).isr, ids({1}));
  world.run(beat);
  EXPECT_EQ(world.last_records(), 0u);
  // Not even when nobody else is left.
  world.fence(1);
  EXPECT_EQ(world.partition("t", 1).leader, kNoLeader);
}

TEST_F(Directories, WhatHadNoLeaderGetsOneWhenItsDirectoryIsBack) {
  assign(kFirst, {0});
  assign(kSecond, {1});
  world.fence(1);
  auto beat = world.beat(0);
  beat.offline_log_dirs = {kSecond};
  world.run(beat);
  EXPECT_EQ(world.partition("t", 1).leader, kNoLeader);
  const LeaderEpoch other = world.partition("t", 0).leader_epoch;
  auto again = World::registration(0);
  again.log_dirs = {kFirst, kSecond};
  EXPECT_EQ(world.run(again).error_code, 0);
  EXPECT_FALSE(world.image().cluster.broker(BrokerId{0})->fenced);
  EXPECT_EQ(world.partition("t", 1).leader, BrokerId{0});
  EXPECT_EQ(world.partition("t", 0).leader_epoch, other) << "nothing else is elected anew";
}

TEST_F(Directories, CordonedOnesAreRememberedAndGetNoNewReplicas) {
  auto beat = world.beat(0);
  beat.cordoned_log_dirs = {{kSecond, kFirst}};
  world.run(beat);
  EXPECT_EQ(world.image().cluster.broker(BrokerId{0})->cordoned_log_dirs,
            (std::vector<DirectoryId>{kFirst, kSecond}));
  world.run(beat);
  EXPECT_EQ(world.last_records(), 0u);
  protocol::CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = "new";
  topic.num_partitions = 4;
  topic.replication_factor = 1;
  EXPECT_EQ(world.run(request).topics[0].error_code, 0);
  for (std::int32_t p = 0; p < 4; ++p) EXPECT_EQ(world.partition("new", p).replicas, ids({1}));
  beat = world.beat(0);
  beat.cordoned_log_dirs.emplace();
  world.run(beat);
  EXPECT_TRUE(world.image().cluster.broker(BrokerId{0})->cordoned_log_dirs.empty());
}

}  // namespace
}  // namespace broker::controller
