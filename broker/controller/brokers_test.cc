#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/controller/partitions.h"
#include "broker/controller/test_world.h"
#include "broker/controller/topics.h"

namespace broker::controller {

void World::add_topic(const std::string& name,
                      const std::vector<std::vector<std::int32_t>>& replicas) {
  const auto response = run(topic_with(name, replicas));
  ASSERT_EQ(response.topics[0].error_code, 0) << *response.topics[0].error_message;
}

namespace {

using metadata::kNoLeader;
using std::chrono::seconds;
using ::testing::ElementsAre;

TEST(Registration, ABrokerStartsFencedAndLeadsNothingUntilItHasReadItsOwnRegistration) {
  World world;
  ASSERT_EQ(world.run(World::registration(1)).error_code, 0);
  const auto* broker = world.image().cluster.broker(BrokerId{1});
  EXPECT_TRUE(broker->fenced);
  auto beat = world.beat(1);
  beat.current_metadata_offset = broker->epoch.value - 1;
  auto response = world.run(beat);
  EXPECT_FALSE(response.is_caught_up);
  EXPECT_TRUE(response.is_fenced);
  beat.current_metadata_offset = broker->epoch.value;
  beat.want_fence = true;
  response = world.run(beat);
  EXPECT_TRUE(response.is_caught_up);
  EXPECT_TRUE(response.is_fenced);
  EXPECT_EQ(world.last_records(), 0u);
  beat.want_fence = false;
  EXPECT_FALSE(world.run(beat).is_fenced);
  EXPECT_FALSE(world.image().cluster.broker(BrokerId{1})->fenced);
}

TEST(Registration, TheEpochIsTheOffsetOfItsRecord) {
  World world(2);
  world.add_topic("t", {{0, 1}, {1, 0}});
  world.advance(seconds(10));
  auto request = World::registration(0);
  request.incarnation_id = Uuid{1, 2};
  const Offset next = world.context().next_offset;
  const auto response = world.run(request);
  EXPECT_EQ(response.broker_epoch,
            next.value + static_cast<std::int64_t>(world.last_records()) - 1);
  EXPECT_GT(world.last_records(), 1u);
}

TEST(Registration, ARestartedBrokerLeavesTheIsrsAndTheOldIncarnationIsStale) {
  World world(2);
  world.add_topic("t", {{0, 1}});
  world.add_topic("alone", {{0}});
  const auto old_beat = world.beat(0);
  auto request = World::registration(0);
  request.incarnation_id = Uuid{1, 2};
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kDuplicateBrokerRegistration);
  world.advance(seconds(10));
  ASSERT_EQ(world.run(request).error_code, 0);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_THAT(world.partition("t").isr, ElementsAre(BrokerId{1}));
  EXPECT_EQ(world.partition("alone").leader, kNoLeader);
  EXPECT_THAT(world.partition("alone").isr, ElementsAre(BrokerId{0}));
  EXPECT_EQ(code_of(world.run(old_beat).error_code), ErrorCode::kStaleBrokerEpoch);
  EXPECT_FALSE(world.run(world.beat(0)).is_fenced);
  EXPECT_EQ(world.partition("alone").leader, BrokerId{0});
  EXPECT_EQ(world.partition("alone").leader_epoch, LeaderEpoch{2});
}

TEST(Registration, TheGraceOfANewLeaderDoesNotHoldUpANodeThatRestartsWithIt) {
  World world(1);
  world.heartbeats().reset(world.image().cluster, world.now());
  auto request = World::registration(0);
  request.incarnation_id = Uuid{1, 2};
  EXPECT_EQ(world.run(request).error_code, 0);
}

TEST(Registration, RefusesForeignClustersMissingFeaturesAndStolenDirectories) {
  World world(1);
  auto request = World::registration(1);
  request.cluster_id = "other";
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kInconsistentClusterId);
  request = World::registration(1);
  for (auto& feature : request.features)
    if (feature.name == "metadata.version") feature.max_supported_version = 29;
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kUnsupportedVersion);
  request = World::registration(1);
  request.log_dirs = World::registration(0).log_dirs;
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kInvalidRegistration);
  request.log_dirs.clear();
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kInvalidRegistration);
}

TEST(Heartbeat, AnExpiredSessionFencesAndAHeartbeatBringsBack) {
  World world(2);
  world.add_topic("t", {{0, 1}});
  world.advance(seconds(5));
  world.run(world.beat(1));
  world.advance(seconds(5));
  ASSERT_EQ(world.heartbeats().next_expired(world.image().cluster, world.now())->id, BrokerId{0});
  world.replay(fence_broker(world.context(), BrokerId{0}));
  EXPECT_TRUE(world.image().cluster.broker(BrokerId{0})->fenced);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_FALSE(world.heartbeats().next_expired(world.image().cluster, world.now()));
  EXPECT_FALSE(world.run(world.beat(0)).is_fenced);
  EXPECT_THAT(world.partition("t").isr, ElementsAre(BrokerId{1}));  // it has to catch up first
}

TEST(Heartbeat, ControlledShutdownMovesLeadersAndWaitsUntilTheOthersKnow) {
  World world(2);
  world.add_topic("t", {{0, 1}});
  auto stopping = world.beat(0);
  stopping.want_shut_down = true;
  const auto stale = world.beat(1);
  auto response = world.run(stopping);
  EXPECT_FALSE(response.should_shut_down);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_TRUE(world.image().cluster.broker(BrokerId{0})->in_controlled_shutdown);
  world.run(stale);
  EXPECT_FALSE(world.run(stopping).should_shut_down);
  world.run(world.beat(1));
  response = world.run(stopping);
  EXPECT_TRUE(response.should_shut_down);
  EXPECT_TRUE(world.image().cluster.broker(BrokerId{0})->fenced);
}

TEST(Heartbeat, TheOnlyBrokerMayStopAfterItsLeadershipsEnded) {
  World world(1);
  world.add_topic("t", {{0}});
  auto stopping = world.beat(0);
  stopping.want_shut_down = true;
  EXPECT_FALSE(world.run(stopping).should_shut_down);
  EXPECT_EQ(world.partition("t").leader, kNoLeader);
  EXPECT_TRUE(world.run(stopping).should_shut_down);
}

TEST(Heartbeat, UnregisteringTakesTheBrokerOutOfEverything) {
  World world(2);
  world.add_topic("t", {{0, 1}});
  protocol::UnregisterBrokerRequest request;
  request.broker_id = 0;
  EXPECT_EQ(world.run(request).error_code, 0);
  EXPECT_EQ(world.image().cluster.broker(BrokerId{0}), nullptr);
  EXPECT_THAT(world.partition("t").isr, ElementsAre(BrokerId{1}));
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kBrokerIdNotRegistered);
}

protocol::AlterPartitionRequest alter(const World& world, int sender, const std::string& topic,
                                      const std::vector<std::int32_t>& isr) {
  protocol::AlterPartitionRequest request;
  request.broker_id = sender;
  request.broker_epoch = world.image().cluster.broker(BrokerId{sender})->epoch.value;
  auto& data = request.topics
                   .emplace_back(protocol::AlterPartitionRequest::TopicData{
                       world.image().topics.find(topic)->id, {}})
                   .partitions.emplace_back();
  data.leader_epoch = world.partition(topic).leader_epoch.value;
  data.partition_epoch = world.partition(topic).partition_epoch.value;
  for (const std::int32_t id : isr)
    data.new_isr_with_epochs.push_back(
        {id, world.image().cluster.broker(BrokerId{id})->epoch.value});
  return request;
}

TEST(AlterPartition, TheLeaderShrinksAndGrowsTheIsr) {
  World world(3);
  world.add_topic("t", {{0, 1, 2}});
  auto response = world.run(alter(world, 0, "t", {0, 1}));
  EXPECT_EQ(response.topics[0].partitions[0].error_code, 0);
  EXPECT_EQ(response.topics[0].partitions[0].partition_epoch, 1);
  EXPECT_EQ(world.partition("t").partition_epoch, PartitionEpoch{1});
  EXPECT_THAT(world.partition("t").isr, ElementsAre(BrokerId{0}, BrokerId{1}));
  world.run(alter(world, 0, "t", {0, 1, 2}));
  EXPECT_EQ(world.partition("t").isr.size(), 3u);
  EXPECT_EQ(world.partition("t").leader_epoch, LeaderEpoch{0});
}

TEST(AlterPartition, ChecksInTheOrderThatLeadersActUpon) {
  World world(3);
  world.add_topic("t", {{0, 1}});
  const auto code = [&](const std::function<void(protocol::AlterPartitionRequest&)>& change) {
    auto request = alter(world, 0, "t", {0, 1});
    change(request);
    return code_of(world.run(request).topics[0].partitions[0].error_code);
  };
  const auto data = [](auto& r) -> auto& { return r.topics[0].partitions[0]; };
  EXPECT_EQ(code([&](auto& r) { data(r).leader_epoch = 5; }), ErrorCode::kNotController);
  EXPECT_EQ(code([&](auto& r) { data(r).partition_epoch = 5; }), ErrorCode::kNotController);
  EXPECT_EQ(code([&](auto& r) { data(r).leader_epoch = -1; }), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(code([&](auto& r) { data(r).partition_epoch = -1; }), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(code([&](auto& r) {
              data(r).new_isr_with_epochs = {{2, -1}, {0, -1}};
            }),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([&](auto& r) {
              data(r).new_isr_with_epochs = {{1, -1}};
            }),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(code([&](auto& r) { data(r).new_isr_with_epochs[1].broker_epoch = 1; }),
            ErrorCode::kIneligibleReplica);
  EXPECT_EQ(code([&](auto& r) { r.topics[0].topic_id = Uuid{5, 5}; }), ErrorCode::kUnknownTopicId);
  auto stale = alter(world, 0, "t", {0, 1});
  stale.broker_epoch = 1;
  EXPECT_EQ(code_of(world.run(stale).error_code), ErrorCode::kStaleBrokerEpoch);
}

using Partitions = protocol::ElectLeadersRequest::TopicPartitions;

TEST(ElectLeaders, PreferredAndUncleanElections) {
  World world(2);
  world.add_topic("t", {{0, 1}});
  protocol::ElectLeadersRequest request;
  request.topic_partitions = std::vector{Partitions{"t", {0, 9}}, Partitions{"none", {0}}};
  auto results = world.run(request).replica_election_results;
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(code_of(results[0].partition_result[0].error_code),
            ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(code_of(results[1].partition_result[0].error_code), ErrorCode::kElectionNotNeeded);
  EXPECT_EQ(code_of(results[1].partition_result[1].error_code),
            ErrorCode::kUnknownTopicOrPartition);

  world.replay(fence_broker(world.context(), BrokerId{0}));
  request.topic_partitions = std::vector{Partitions{"t", {0}}};
  EXPECT_EQ(code_of(world.run(request).replica_election_results[0].partition_result[0].error_code),
            ErrorCode::kPreferredLeaderNotAvailable);
  world.run(world.beat(0));
  world.run(alter(world, 1, "t", {1, 0}));
  request.topic_partitions = std::nullopt;
  EXPECT_EQ(world.run(request).replica_election_results[0].partition_result[0].error_code, 0);
  EXPECT_EQ(world.partition("t").leader, BrokerId{0});

  world.run(alter(world, 0, "t", {0}));
  world.replay(fence_broker(world.context(), BrokerId{0}));
  EXPECT_EQ(world.partition("t").leader, kNoLeader);
  request.election_type = 1;
  EXPECT_EQ(world.run(request).replica_election_results[0].partition_result[0].error_code, 0);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_THAT(world.partition("t").isr, ElementsAre(BrokerId{1}));
  EXPECT_EQ(world.partition("t").leader_recovery_state, metadata::LeaderRecoveryState::kRecovering);
}

TEST(Cluster, ProducerIdsComeInBlocksToBrokersOfTheRightEpoch) {
  World world(1);
  protocol::AllocateProducerIdsRequest request;
  request.broker_id = 0;
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kStaleBrokerEpoch);
  request.broker_epoch = world.image().cluster.broker(BrokerId{0})->epoch.value;
  EXPECT_EQ(world.run(request).producer_id_start, 0);
  EXPECT_EQ(world.run(request).producer_id_start, 1000);
  request.broker_id = 5;
  EXPECT_EQ(code_of(world.run(request).error_code), ErrorCode::kBrokerIdNotRegistered);
}

TEST(Cluster, FeaturesThatAreNotImplementedCannotBeFinalisedNorMetadataVersionLowered) {
  World world(1);
  const auto update = [&](const std::string& name, std::int16_t level) {
    protocol::UpdateFeaturesRequest request;
    request.feature_updates.push_back({name, level, false, 1});
    return code_of(world.run(request).error_code);
  };
  EXPECT_EQ(update("metadata.version", 30), ErrorCode::kNone);
  EXPECT_EQ(world.last_records(), 0u);
  EXPECT_EQ(update("metadata.version", 29), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("metadata.version", 31), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("share.version", 1), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("kraft.version", 0), ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(update("nonsense", 1), ErrorCode::kInvalidUpdateVersion);
}

}  // namespace
}  // namespace broker::controller
