#include "broker/coordinator/group/group_coordinator.h"

#include <gtest/gtest.h>

#include "broker/common/topic_name.h"
#include "broker/replication/broker_for_tests.h"

namespace broker::coordinator::group {
namespace {

using namespace std::chrono_literals;
using replication::testing::TestBroker;

constexpr TopicId kOffsets{3, 3};

/// A broker with __consumer_offsets, over one strand or several.
class Coordinator : public ::testing::TestWithParam<std::size_t> {
 protected:
  Coordinator() { start_coordinator(); }
  ~Coordinator() override { broker.stop(); }

  void start_coordinator() {
    GroupOptions options;
    options.initial_rebalance_delay = 0ms;
    CoordinatorOptions runtime;
    runtime.topic = std::string(kGroupOffsetsTopic);
    runtime.load_chunk_bytes = 100;  // several turns
    coordinator = std::make_unique<GroupCoordinator>(
        options, runtime, *broker.replicas, broker.world.workers(), [this] { ++topics_asked_for; },
        1);
    broker.start();
  }
  void create_offsets_topic(std::map<std::string, std::string> configs = {}) {
    broker.create_topic(std::string(kGroupOffsetsTopic), kOffsets, 8, std::move(configs));
    coordinator->apply(broker.publish());
  }
  void restart() {
    broker.stop();
    coordinator.reset();
    broker.open();
    start_coordinator();
    broker.world.run();
  }

  template <class Response, class Request>
  using Method = void (GroupCoordinator::*)(CallContext, Request, Reply<Response>);
  /// nullopt while the answer is outstanding.
  template <class Response, class Request>
  std::shared_ptr<std::optional<Response>> call(Method<Response, Request> method, Request request,
                                                std::int16_t version) {
    auto answer = std::make_shared<std::optional<Response>>();
    ((*coordinator).*method)({version, "client", "/127.0.0.1"}, std::move(request),
                             [answer](Response response) {
                               CHECK(!answer->has_value());
                               *answer = std::move(response);
                             });
    broker.world.run();
    return answer;
  }

  std::shared_ptr<std::optional<protocol::OffsetCommitResponse>> commit(const std::string& group,
                                                                        std::int64_t offset) {
    protocol::OffsetCommitRequest request;
    request.group_id = group;
    auto& topic = request.topics.emplace_back();
    topic.name = "orders";
    topic.partitions.push_back({.partition_index = 0, .committed_offset = offset});
    return call(&GroupCoordinator::offset_commit, request, 9);
  }
  static std::int16_t error_of(const protocol::OffsetCommitResponse& response) {
    return response.topics[0].partitions[0].error_code;
  }
  std::shared_ptr<std::optional<protocol::OffsetFetchResponse>> fetch(
      const std::vector<std::string>& groups) {
    protocol::OffsetFetchRequest request;
    for (const std::string& group : groups) {
      auto& asked = request.groups.emplace_back();
      asked.group_id = group;
      asked.topics.reset();
    }
    return call(&GroupCoordinator::offset_fetch, request, 9);
  }
  protocol::ListGroupsResponse list() {
    return **call(&GroupCoordinator::list_groups, protocol::ListGroupsRequest(), 5);
  }

  TestBroker broker{GetParam()};
  int topics_asked_for = 0;
  std::unique_ptr<GroupCoordinator> coordinator;
};
INSTANTIATE_TEST_SUITE_P(OneStrandAndThree, Coordinator, ::testing::Values(1u, 3u));

TEST_P(Coordinator, AsksForItsTopicAndThenSendsEachGroupToItsPartitionsLeader) {
  EXPECT_EQ(coordinator->find_coordinator("g", *broker.replicas->image()).code(),
            ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(topics_asked_for, 1);
  EXPECT_EQ(error_of(**commit("g", 1)),
            static_cast<std::int16_t>(ErrorCode::kCoordinatorNotAvailable));
  create_offsets_topic();
  EXPECT_EQ(coordinator->find_coordinator("g", *broker.replicas->image()).value(),
            replication::testing::kNode);
  EXPECT_EQ(error_of(**commit("g", 1)), 0);
}

TEST_P(Coordinator, OffsetsAndMembersSurviveARestart) {
  create_offsets_topic();
  for (int i = 0; i < 20; ++i) commit("simple-" + std::to_string(i), i);
  protocol::JoinGroupRequest join;
  join.group_id = "team";
  join.protocol_type = "consumer";
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 10'000;
  join.protocols.push_back({.name = "range"});
  join.member_id = (*call(&GroupCoordinator::join_group, join, 9))->member_id;
  const auto joined = call(&GroupCoordinator::join_group, join, 9);
  ASSERT_TRUE(joined->has_value());
  protocol::SyncGroupRequest sync;
  sync.group_id = "team";
  sync.generation_id = 1;
  sync.member_id = join.member_id;
  sync.assignments.push_back({.member_id = join.member_id, .assignment = Slice::copy_of("all")});
  EXPECT_EQ((*call(&GroupCoordinator::sync_group, sync, 5))->assignment.view(), "all");

  restart();
  EXPECT_EQ(list().groups.size(), 21u);
  sync.assignments.clear();
  EXPECT_EQ((*call(&GroupCoordinator::sync_group, sync, 5))->assignment.view(), "all");
  const auto fetched = fetch({"simple-7", "nobody", "simple-19"});
  ASSERT_EQ((*fetched)->groups.size(), 3u);
  EXPECT_EQ((*fetched)->groups[0].topics[0].partitions[0].committed_offset, 7);
  EXPECT_EQ((*fetched)->groups[1].group_id, "nobody");
  EXPECT_TRUE((*fetched)->groups[1].topics.empty());
  EXPECT_EQ((*fetched)->groups[2].topics[0].partitions[0].committed_offset, 19);
  broker.world.advance(11s);  // the timer runs: the member that does not return is removed
  protocol::DescribeGroupsRequest describe;
  describe.groups = {"team"};
  EXPECT_EQ((*call(&GroupCoordinator::describe_groups, describe, 6))->groups[0].group_state,
            "Empty");
}

TEST_P(Coordinator, NothingIsAnsweredBeforeItIsCommitted) {
  create_offsets_topic({{"flush.messages", "1"}});
  broker.world.workers().hold = true;
  const auto committed = commit("g", 5);
  const auto fetched = fetch({"g"});
  EXPECT_FALSE(committed->has_value());
  EXPECT_FALSE(fetched->has_value());  // it would tell of an offset that may yet be lost
  broker.world.workers().hold = false;
  broker.world.workers().finish();
  broker.world.run();
  ASSERT_TRUE(committed->has_value());
  EXPECT_EQ(error_of(**committed), 0);
  ASSERT_TRUE(fetched->has_value());
  EXPECT_EQ((*fetched)->groups[0].topics[0].partitions[0].committed_offset, 5);
}

TEST_P(Coordinator, AWriteThatTakesTooLongIsAnsweredAsUnavailable) {
  create_offsets_topic({{"flush.messages", "1"}});
  broker.world.workers().hold = true;
  const auto committed = commit("g", 5);
  broker.world.advance(5'100ms);
  ASSERT_TRUE(committed->has_value());
  EXPECT_EQ(error_of(**committed), static_cast<std::int16_t>(ErrorCode::kCoordinatorNotAvailable));
  // What the shard knows is ahead of what is committed: it may not be shown.
  EXPECT_EQ((*fetch({"g"}))->groups[0].error_code,
            static_cast<std::int16_t>(ErrorCode::kNotCoordinator));
  broker.world.workers().hold = false;
  broker.world.workers().finish();
  broker.world.run();
  EXPECT_EQ((*fetch({"g"}))->groups[0].error_code, 0);
}

TEST_P(Coordinator, WithoutLeadershipItIsNotTheCoordinator) {
  create_offsets_topic();
  protocol::JoinGroupRequest join;
  join.group_id = "team";
  join.protocol_type = "consumer";
  join.session_timeout_ms = 10'000;
  join.protocols.push_back({.name = "range"});
  join.member_id = "";
  commit("g", 1);
  broker.delete_topic(std::string(kGroupOffsetsTopic), kOffsets);
  coordinator->apply(broker.publish());
  EXPECT_EQ(error_of(**commit("g", 1)),
            static_cast<std::int16_t>(ErrorCode::kCoordinatorNotAvailable));
  EXPECT_TRUE(list().groups.empty());
}

// Found by the simulation (seed 468): two clients that were one member each read everything.
TEST_P(Coordinator, WhatTakesOverAgainDrawsOtherMemberIds) {
  create_offsets_topic();
  protocol::JoinGroupRequest join;
  join.group_id = "team";
  join.protocol_type = "consumer";
  join.session_timeout_ms = 10'000;
  join.protocols.push_back({.name = "range"});
  const std::string first = (*call(&GroupCoordinator::join_group, join, 9))->member_id;
  broker.delete_topic(std::string(kGroupOffsetsTopic), kOffsets);
  coordinator->apply(broker.publish());
  create_offsets_topic();
  const std::string second = (*call(&GroupCoordinator::join_group, join, 9))->member_id;
  EXPECT_FALSE(second.empty());
  EXPECT_NE(first, second);
}

TEST_P(Coordinator, ADeletedTopicsOffsetsGo) {
  create_offsets_topic();
  broker.create_topic("orders", replication::testing::kOrders, 1);
  coordinator->apply(broker.publish());
  commit("g", 1);
  broker.delete_topic("orders", replication::testing::kOrders);
  coordinator->apply(broker.publish());
  broker.world.run();
  EXPECT_TRUE((*fetch({"g"}))->groups[0].topics.empty());
}

TEST_P(Coordinator, AnswersMinusOneForAPartitionWithoutAnOffset) {
  create_offsets_topic();
  commit("g", 3);
  protocol::OffsetFetchRequest request;
  auto& group = request.groups.emplace_back();
  group.group_id = "g";
  group.topics.emplace();
  group.topics->push_back({.name = "orders", .partition_indexes = {0, 1}});
  const auto fetched = call(&GroupCoordinator::offset_fetch, request, 8);
  ASSERT_EQ((*fetched)->groups[0].topics.size(), 1u);
  const auto& partitions = (*fetched)->groups[0].topics[0].partitions;
  EXPECT_EQ(partitions[0].committed_offset, 3);
  EXPECT_EQ(partitions[1].committed_offset, -1);
}

TEST_P(Coordinator, DeletesGroupsAndCountsWhatIsLeft) {
  create_offsets_topic();
  for (const char* group : {"a", "b", "c"}) commit(group, 1);
  protocol::DeleteGroupsRequest request;
  request.groups_names = {"b", "nobody"};
  const auto deleted = call(&GroupCoordinator::delete_groups, request, 2);
  EXPECT_EQ((*deleted)->results[0].error_code, 0);
  EXPECT_EQ((*deleted)->results[1].error_code,
            static_cast<std::int16_t>(ErrorCode::kGroupIdNotFound));
  GroupMetrics metrics;
  coordinator->collect([&](GroupMetrics m) { metrics = std::move(m); });
  broker.world.run();
  EXPECT_EQ(metrics.groups, 2u);
  EXPECT_EQ(metrics.offsets.size(), 2u);
  EXPECT_EQ(metrics.groups_by_state[State::kEmpty], 2u);
}

}  // namespace
}  // namespace broker::coordinator::group
