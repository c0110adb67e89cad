// Several brokers, their links and a scripted controller.
#include <gtest/gtest.h>

#include "broker/replication/cluster_for_tests.h"
#include "broker/replication/replica_feed.h"

namespace broker::replication {
namespace {

using namespace std::chrono_literals;
using testing::TestCluster;

class Replication : public ::testing::Test {
 protected:
  explicit Replication(TestCluster::Options options = {}) : cluster(options) {}

  static Slice batch(const std::string& value) { return TestCluster::batch(value); }
  void expect_same_logs(std::vector<int> brokers) {
    const auto first = cluster.content(brokers.front());
    for (const int id : brokers) EXPECT_EQ(cluster.content(id), first) << "broker " << id;
  }
  ErrorCode produce(int leader, const std::string& value) {
    const auto produced = cluster.produce(leader, batch(value));
    return produced->result ? produced->result->error : ErrorCode::kUnknownServerError;
  }

  TestCluster cluster;
};

TEST_F(Replication, AcksAllIsAnsweredWhenAllHaveIt) {
  cluster.create_topic({1, 2, 3});
  EXPECT_EQ(produce(1, "a"), ErrorCode::kNone);
  EXPECT_EQ(produce(1, "b"), ErrorCode::kNone);
  expect_same_logs({1, 2, 3});
  EXPECT_EQ(cluster.high_watermark(1), Offset{2});
}

TEST_F(Replication, FollowersLearnTheHighWatermarkSoonWithoutNewRecords) {
  cluster.create_topic({1, 2, 3});
  EXPECT_EQ(produce(1, "a"), ErrorCode::kNone);
  cluster.world.advance(ReplicaFeed::kHighWatermarkDelay);
  EXPECT_EQ(cluster.high_watermark(2), Offset{1});
  EXPECT_EQ(cluster.high_watermark(3), Offset{1});
}

TEST_F(Replication, AnIdleFollowerAsksTwiceASecond) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.world.advance(1s);
  const int before = cluster.broker(1).fetches;
  cluster.world.advance(10s);
  EXPECT_EQ(cluster.broker(1).fetches - before, 2 * 20);
  EXPECT_EQ(cluster.broker(2).connections, 1);
}

TEST_F(Replication, MetadataOfTheSameEpochDisturbsNoFetcher) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.world.advance(100ms);
  const int before = cluster.broker(1).fetches;
  cluster.change(cluster.registration());
  EXPECT_EQ(cluster.broker(1).fetches, before);
  EXPECT_EQ(produce(1, "b"), ErrorCode::kNone);
}

TEST_F(Replication, ADeadFollowerLeavesTheIsrAndComesBack) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.stop(3, true);
  const auto waiting = cluster.produce(1, batch("b"));
  EXPECT_FALSE(waiting->result);
  cluster.world.advance(20s);
  ASSERT_TRUE(waiting->result);
  EXPECT_EQ(waiting->result->error, ErrorCode::kNone);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2}));
  EXPECT_EQ(produce(1, "c"), ErrorCode::kNone);

  cluster.start(3);
  cluster.world.advance(1s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  expect_same_logs({1, 2, 3});
}

TEST_F(Replication, ADeadFollowerThatIsFencedDelaysNobody) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.stop(3, true);
  const auto waiting = cluster.produce(1, batch("b"));
  auto partition = cluster.registration();
  partition.isr = {BrokerId{1}, BrokerId{2}};
  cluster.change(partition);
  EXPECT_FALSE(waiting->result);  // 3 was there a moment ago
  cluster.fence(3, true);
  EXPECT_TRUE(waiting->result);
}

TEST_F(Replication, AnEmptyBrokerIsRefilled) {
  cluster.create_topic({1, 2});
  for (int i = 0; i < 50; ++i) produce(1, std::string(100'000, 'x'));
  auto partition = cluster.registration();
  partition.replicas.push_back(BrokerId{3});
  partition.directories.resize(3);
  partition.adding_replicas = {BrokerId{3}};
  cluster.change(partition);
  cluster.world.advance(1s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  expect_same_logs({1, 2, 3});
  EXPECT_EQ(cluster.broker(3).connections, 2);  // one of them for the part behind
}

TEST_F(Replication, AFollowerBecomesLeaderAndItsPredecessorFollows) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.stop(1, true);
  cluster.elect(2, {2, 3});
  EXPECT_EQ(produce(2, "b"), ErrorCode::kNone);
  cluster.start(1);
  cluster.world.advance(1s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  expect_same_logs({1, 2, 3});
  EXPECT_EQ(produce(2, "c"), ErrorCode::kNone);
}

TEST_F(Replication, WhatOnlyTheOldLeaderHadIsCutOff) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.cut_off(1);
  for (const char* lost : {"x", "y", "z"}) cluster.produce(1, batch(lost), Acks::kLeader);
  EXPECT_EQ(cluster.log_end(1), Offset{4});
  cluster.elect(2, {2, 3});
  EXPECT_EQ(produce(2, "b"), ErrorCode::kNone);
  cluster.heal(1);
  cluster.publish();
  cluster.world.advance(1s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  expect_same_logs({1, 2, 3});
  EXPECT_EQ(cluster.log_end(1), Offset{2});
}

TEST_F(Replication, LogsThatPartedInSeveralEpochsMeetAgain) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  // 1 and 2 lead in turn, each alone with what it writes.
  for (int round = 0; round < 3; ++round) {
    cluster.cut_off(1);
    cluster.produce(1, batch("one-" + std::to_string(round)), Acks::kLeader);
    cluster.elect(2, {2});
    cluster.cut_off(2);
    cluster.produce(2, batch("two-" + std::to_string(round)), Acks::kLeader);
    cluster.heal(1);
    cluster.elect(1, {1});
    cluster.heal(2);
    cluster.behind = {2};
  }
  cluster.behind = {};
  cluster.elect(3, {3});
  cluster.publish();
  cluster.world.advance(2s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  expect_same_logs({1, 2, 3});
}

TEST_F(Replication, AFollowerBehindTheLeadersLogStartBeginsAnew) {
  cluster.create_topic({1, 2, 3});
  cluster.cut_off(3);
  cluster.fence(3, true);
  auto partition = cluster.registration();
  partition.isr = {BrokerId{1}, BrokerId{2}};
  cluster.change(partition);
  cluster.world.advance(11s);  // or the high watermark would wait for 3
  for (int i = 0; i < 5; ++i) produce(1, "gone");
  cluster.on(1, [&] {
    cluster.broker(1).replicas->find(TestCluster::kTopic, 0)->delete_records(Offset{4});
  });
  cluster.heal(3);
  cluster.fence(3, false);
  cluster.world.advance(2s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
  EXPECT_EQ(cluster.partition(3).log()->log_start_offset(), Offset{4});
  expect_same_logs({1, 3});
}

TEST_F(Replication, FollowersTakeOverTheLogStart) {
  cluster.create_topic({1, 2, 3});
  for (int i = 0; i < 5; ++i) produce(1, "a");
  cluster.on(1, [&] {
    cluster.broker(1).replicas->find(TestCluster::kTopic, 0)->delete_records(Offset{3});
  });
  produce(1, "b");
  cluster.world.advance(100ms);
  EXPECT_EQ(cluster.partition(2).log()->log_start_offset(), Offset{3});
}

TEST_F(Replication, ARepetitionIsRecognisedAfterAFailover) {
  cluster.create_topic({1, 2, 3});
  const Slice first = TestCluster::batch("a", 7, 0);
  const auto before = cluster.produce(1, first);
  cluster.stop(1, true);
  cluster.elect(2, {2, 3});
  const auto again = cluster.produce(2, first);
  ASSERT_TRUE(again->result);
  EXPECT_EQ(again->result->error, ErrorCode::kNone);
  EXPECT_EQ(again->result->base_offset, before->result->base_offset);
  EXPECT_EQ(cluster.log_end(2), Offset{1});
}

TEST_F(Replication, ASequenceThatWasCutOffIsWelcomeAgain) {
  cluster.create_topic({1, 2, 3});
  cluster.produce(1, TestCluster::batch("a", 7, 0));
  cluster.cut_off(1);
  cluster.produce(1, TestCluster::batch("b", 7, 1), Acks::kLeader);
  cluster.elect(2, {2, 3});
  EXPECT_EQ(cluster.produce(2, TestCluster::batch("b", 7, 1))->result->base_offset, Offset{1});
  cluster.heal(1);
  cluster.publish();
  cluster.world.advance(1s);
  cluster.elect(1, {1, 2, 3});
  cluster.world.advance(1s);
  const auto again = cluster.produce(1, TestCluster::batch("b", 7, 1));
  ASSERT_TRUE(again->result);
  EXPECT_EQ(again->result->base_offset, Offset{1});
  EXPECT_EQ(cluster.produce(1, TestCluster::batch("c", 7, 2))->result->base_offset, Offset{2});
  expect_same_logs({1, 2, 3});
}

TEST_F(Replication, AFencedBrokerIsNotLetIn) {
  cluster.create_topic({1, 2, 3});
  cluster.fence(3, true);
  auto partition = cluster.registration();
  partition.isr = {BrokerId{1}, BrokerId{2}};
  cluster.change(partition);
  produce(1, "a");
  cluster.world.advance(5s);
  EXPECT_EQ(cluster.isr_requests, 0);
  cluster.fence(3, false);  // although it asks for nothing new
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
}

TEST_F(Replication, ARefusedIsrIsNotAskedForAtEveryFetch) {
  cluster.create_topic({1, 2, 3});
  cluster.refuse_isr_changes = ErrorCode::kIneligibleReplica;
  auto partition = cluster.registration();
  partition.isr = {BrokerId{1}, BrokerId{2}};
  cluster.change(partition);
  for (int i = 0; i < 100; ++i) produce(1, "a");
  EXPECT_EQ(cluster.isr_requests, 1);
  cluster.refuse_isr_changes = ErrorCode::kNone;
  cluster.world.advance(2s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
}

class Throttled : public Replication {
 protected:
  void refill(const char* side) {
    cluster.create_topic({1, 2});
    for (int i = 0; i < 60; ++i) produce(1, std::string(500'000, 'x'));
    cluster.configure({{std::string(side) + ".replication.throttled.rate", "1000000"}},
                      {{std::string(side) + ".replication.throttled.replicas", "*"}});
    auto partition = cluster.registration();
    partition.replicas.push_back(BrokerId{3});
    partition.directories.resize(3);
    partition.adding_replicas = {BrokerId{3}};
    cluster.change(partition);
    // 30 MB at 1 MB/s, of which the window lets ten seconds' worth through at once.
    cluster.world.advance(15s);
    EXPECT_EQ(cluster.isr(), (std::vector{1, 2}));
    EXPECT_EQ(produce(1, "meanwhile"), ErrorCode::kNone);
    cluster.world.advance(25s);
    EXPECT_EQ(cluster.isr(), (std::vector{1, 2, 3}));
    expect_same_logs({1, 2, 3});
  }
};

TEST_F(Throttled, ALeaderKeepsToItsRate) { refill("leader"); }
TEST_F(Throttled, AFollowerKeepsToItsRate) { refill("follower"); }

class MinIsr2 : public Replication {
 protected:
  MinIsr2() : Replication({.min_insync_replicas = 2}) {}
};

TEST_F(MinIsr2, BelowTheMinimumNothingIsAcknowledgedOrSeen) {
  cluster.create_topic({1, 2, 3});
  produce(1, "a");
  cluster.stop(2, true);
  cluster.stop(3, true);
  const auto caught = cluster.produce(1, batch("b"));
  cluster.world.advance(20s);
  EXPECT_EQ(cluster.isr(), (std::vector{1}));
  EXPECT_FALSE(caught->result);
  EXPECT_EQ(produce(1, "c"), ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(cluster.high_watermark(1), Offset{1});
  cluster.start(2);
  cluster.world.advance(1s);
  EXPECT_EQ(cluster.isr(), (std::vector{1, 2}));
  ASSERT_TRUE(caught->result);
  EXPECT_EQ(caught->result->error, ErrorCode::kNone);
}

TEST_F(MinIsr2, AWaitingProducerIsToldOfTheNewLeader) {
  cluster.create_topic({1, 2, 3});
  cluster.cut_off(2);
  cluster.cut_off(3);
  const auto waiting = cluster.produce(1, batch("a"));
  cluster.heal(2);
  cluster.heal(3);
  cluster.behind = {2, 3};
  cluster.elect(2, {2, 3});
  ASSERT_TRUE(waiting->result);
  EXPECT_EQ(waiting->result->error, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(waiting->result->current_leader, (CurrentLeader{BrokerId{2}, LeaderEpoch{1}}));
}

}  // namespace
}  // namespace broker::replication
