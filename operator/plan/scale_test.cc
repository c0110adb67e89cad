#include "operator/plan/scale.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "operator/plan/cluster_plan.h"

namespace op::plan {
namespace {

using broker::BrokerId;
using broker::Uuid;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::MetadataImage;
using broker::metadata::PartitionRegistration;
using broker::metadata::TopicImage;
using Ids = std::vector<std::int32_t>;
using Set = std::set<std::int32_t>;

constexpr const char* kNow = "2026-01-01T00:00:00Z";

std::vector<BrokerId> to_brokers(const Ids& ids) {
  std::vector<BrokerId> out;
  for (const std::int32_t id : ids) out.push_back(BrokerId{id});
  return out;
}

/// A cluster of combined nodes that does what the plan says, a step per tick.
struct World {
  explicit World(int nodes) {
    cluster.metadata.name = "orders";
    cluster.metadata.namespace_ = "kafka";
    cluster.metadata.generation = 1;
    api::PoolSpec pool;
    pool.name = "main";
    pool.roles = {api::Role::kController, api::Role::kBroker};
    pool.replicas = nodes;
    cluster.spec.pools = {pool};
    cluster.spec.rebalance.on_scale = api::OnScale::kAuto;
    cluster.status.cluster_id = "id";
    for (int id = 0; id < nodes; ++id) {
      start(id);
      voters.insert(id);
      cluster.status.initial_controllers.push_back({id, "x", true});
    }
    cluster.status.formatted = true;
    step();
  }

  void start(std::int32_t id) {
    broker::metadata::BrokerRegistration broker;
    broker.id = BrokerId{id};
    broker.fenced = false;
    broker.log_dirs = {Uuid{7, static_cast<std::uint64_t>(id)}};
    image.cluster.brokers.set(broker.id, broker);
    pods.insert(id);
  }
  void stop(std::int32_t id) {
    pods.erase(id);
    auto broker = *image.cluster.broker(BrokerId{id});
    broker.fenced = true;
    image.cluster.brokers.set(broker.id, broker);
  }
  void make_topic(const std::string& name, const std::vector<Ids>& partitions) {
    TopicImage topic{name, Uuid{1, image.topics.ids.size() + 1}, {}};
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      PartitionRegistration partition;
      partition.replicas = partition.isr = to_brokers(partitions[i]);
      partition.leader = partition.replicas.front();
      topic.partitions.set(static_cast<std::int32_t>(i), partition);
    }
    image.topics.by_id.set(topic.id, topic);
    image.topics.ids.set(name, topic.id);
  }
  Ids replicas(const std::string& topic, std::int32_t index) const {
    Ids out;
    for (const BrokerId id : image.topics.find(topic)->partitions.find(index)->replicas)
      out.push_back(id.value);
    return out;
  }

  /// In whatever order: Kafka, too, gives back another one when a reassignment is taken back.
  Set holders(const std::string& topic, std::int32_t index) const {
    const Ids ids = replicas(topic, index);
    return {ids.begin(), ids.end()};
  }

  /// Gather, plan, status; what was asked for is not carried out yet.
  ScaleStep plan() {
    api::Cluster effective = cluster;
    const Set leaving = hold_leaving_nodes(effective);
    ClusterInput in{.cluster = effective};
    in.leaving = leaving;
    for (const std::int32_t id : pods) {
      ObservedPod pod;
      pod.node_id = id;
      pod.name = "orders-main-" + std::to_string(id);
      pod.uid = "u" + std::to_string(id);
      pod.ready = true;
      pod.name_is_stale = unnamed.contains(id);
      in.pods.push_back(pod);
    }
    in.image = &image;
    in.synced = true;
    in.now = kNow;
    in.quorum = ObservedQuorum{*voters.begin(), {}, {}};
    for (const std::int32_t id : voters)
      in.quorum->voters.push_back({id, Uuid{1, static_cast<std::uint64_t>(id)}, true});
    for (const std::int32_t id : pods)
      if (!voters.contains(id))
        in.quorum->observers.push_back({id, Uuid{1, static_cast<std::uint64_t>(id)}, true});
    in.quorum_is_current = true;
    in.scale = plan_scale(in);
    cluster.status = plan_cluster_status(in);
    voter_action = next_voter_action(effective, *in.quorum, leaving_voters(in));
    held = effective.spec.pools[0].replicas;
    return in.scale;
  }
  /// One step of everybody: operator, StatefulSet, quorum, brokers.
  ScaleStep step() {
    ScaleStep now = plan();
    if (const auto* add = std::get_if<AddVoter>(&voter_action)) voters.insert(add->node_id);
    if (const auto* gone = std::get_if<RemoveVoter>(&voter_action)) voters.erase(gone->node_id);
    for (const Move& move : now.moves) reassign(move);
    for (const std::int32_t id : now.cordon) set_cordon(id, true);
    for (const std::int32_t id : now.uncordon) set_cordon(id, false);
    for (const std::int32_t id : now.unregister) image.cluster.brokers.erase(BrokerId{id});
    const auto there = static_cast<std::int32_t>(cluster.status.pools[0].node_ids.size());
    for (std::int32_t id = 0; id < there; ++id)
      if (!pods.contains(id)) start(id);
    for (const std::int32_t id : Set(pods))
      if (id >= there) stop(id);
    return now;
  }
  void set_cordon(std::int32_t id, bool on) {
    const ConfigResource resource{ConfigResourceType::kBroker, std::to_string(id)};
    broker::config::ConfigMap configs;
    if (on) configs["cordoned.log.dirs"] = "*";
    image.configs.by_resource.set(resource, configs);
  }
  void reassign(const Move& move) {
    TopicImage topic = *image.topics.find(move.topic);
    PartitionRegistration partition = *topic.partitions.find(move.partition);
    std::vector<BrokerId> before;  // without what was being added
    for (const BrokerId id : partition.replicas)
      if (std::find(partition.adding_replicas.begin(), partition.adding_replicas.end(), id) ==
          partition.adding_replicas.end())
        before.push_back(id);
    partition.adding_replicas.clear();
    partition.removing_replicas.clear();
    partition.replicas = before;
    if (move.replicas) {
      const auto target = to_brokers(*move.replicas);
      partition.replicas = target;
      for (const BrokerId id : before)
        if (std::find(target.begin(), target.end(), id) == target.end()) {
          partition.removing_replicas.push_back(id);
          partition.replicas.push_back(id);
        }
      for (const BrokerId id : target)
        if (std::find(before.begin(), before.end(), id) == before.end())
          partition.adding_replicas.push_back(id);
    }
    topic.partitions.set(move.partition, partition);
    image.topics.by_id.set(topic.id, topic);
  }
  /// Everything that is under way ends.
  void finish_moves() {
    const auto topics = image.topics.by_id;
    for (const auto& [id, old] : topics) {
      TopicImage topic = old;
      for (const auto& [index, before] : old.partitions) {
        PartitionRegistration partition = before;
        const auto target = to_brokers(target_replicas(before));
        partition.replicas = partition.isr = target;
        partition.adding_replicas.clear();
        partition.removing_replicas.clear();
        partition.leader = target.front();
        topic.partitions.set(index, partition);
      }
      image.topics.by_id.set(id, topic);
    }
  }
  bool at_rest() const { return !cluster.status.scale; }
  void run(int ticks = 60) {
    for (int i = 0; i < ticks; ++i) {
      const bool any = !plan().moves.empty() || !at_rest() || !pods_are_right();
      step();
      finish_moves();
      if (!any && i > 3) return;
    }
  }
  bool pods_are_right() const {
    return static_cast<std::int32_t>(pods.size()) == cluster.spec.pools[0].replicas;
  }
  void scale_to(int nodes) { cluster.spec.pools[0].replicas = nodes; }
  const api::Condition& ready() const {
    return *api::find_condition(cluster.status.conditions, api::condition::kReady);
  }

  api::Cluster cluster;
  MetadataImage image = *MetadataImage::empty();
  Set pods;
  Set unnamed;  // nodes whose names lead nowhere yet
  Set voters;
  VoterAction voter_action = KeepVoters{};
  std::int32_t held = 0;
};

TEST(Scale, NothingIsPlannedAtRest) {
  World world(3);
  world.make_topic("a", {{0, 1, 2}});
  const ScaleStep step = world.plan();
  EXPECT_FALSE(step.status);
  EXPECT_TRUE(step.moves.empty() && step.cordon.empty() && step.unregister.empty());
  EXPECT_EQ(world.cluster.status.activity, "");
}

TEST(Scale, NewBrokersGetTheirShareAndBecomeVoters) {
  World world(3);
  world.make_topic("a", std::vector<Ids>(10, {0, 1, 2}));
  world.scale_to(5);
  world.step();
  ASSERT_TRUE(world.cluster.status.scale);
  EXPECT_EQ(world.cluster.status.scale->joining, (Ids{3, 4}));
  EXPECT_EQ(world.ready().status, api::ConditionStatus::kFalse);
  world.run();
  EXPECT_TRUE(world.at_rest());
  std::map<std::int32_t, int> held;
  for (int i = 0; i < 10; ++i)
    for (const std::int32_t id : world.replicas("a", i)) ++held[id];
  for (int id = 0; id < 5; ++id) EXPECT_EQ(held[id], 6) << id;
  EXPECT_EQ(world.voters, (Set{0, 1, 2, 3, 4}));
  EXPECT_EQ(world.cluster.status.initial_controllers.size(), 5u);
  EXPECT_EQ(world.ready().status, api::ConditionStatus::kTrue);
}

TEST(Scale, NothingMovesToABrokerWhoseNameLeadsNowhere) {
  World world(3);
  world.make_topic("a", std::vector<Ids>(10, {0, 1, 2}));
  world.scale_to(5);
  world.unnamed = {4};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(world.step().moves.empty()) << i;
  EXPECT_EQ(world.cluster.status.scale->waiting_for, "the name of node 4 does not lead to it yet");
  world.unnamed.clear();
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.voters.size(), 5u);
}

TEST(Scale, ByHandOnlyInternalTopicsAreRaised) {
  World world(1);
  world.cluster.spec.rebalance.on_scale = api::OnScale::kManual;
  world.make_topic("a", {{0}, {0}});
  world.make_topic("__consumer_offsets", std::vector<Ids>(50, {0}));
  world.scale_to(3);
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.replicas("a", 0), Ids{0});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(world.replicas("__consumer_offsets", i).size(), 3u);
    EXPECT_EQ(world.replicas("__consumer_offsets", i)[0], 0);
  }
  EXPECT_EQ(world.voters, (Set{0, 1, 2}));
}

TEST(Scale, NodesAreDrainedBeforeTheyStopAndForgottenAfterwards) {
  World world(5);
  world.make_topic("a", {{0, 3, 4}, {4, 1, 2}, {3, 4, 0}, {1, 2, 3}});
  world.scale_to(3);
  ScaleStep step = world.step();
  EXPECT_EQ(step.cordon, (Ids{3, 4}));
  EXPECT_EQ(step.moves.size(), 4u);
  EXPECT_TRUE(step.released.empty());
  EXPECT_EQ(world.held, 5);
  EXPECT_EQ(world.cluster.status.activity, "Draining 0/4");
  EXPECT_EQ(world.ready().reason, api::reason::kScaling);
  for (int i = 0; i < 5; ++i) {  // as long as anything is under way, nobody stops or votes less
    step = world.step();
    EXPECT_TRUE(step.moves.empty() && step.released.empty()) << i;
    EXPECT_EQ(world.pods.size(), 5u);
    EXPECT_EQ(world.voters.size(), 5u);
  }
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.pods, (Set{0, 1, 2}));
  EXPECT_EQ(world.voters, (Set{0, 1, 2}));
  EXPECT_EQ(world.image.cluster.broker(BrokerId{3}), nullptr);
  EXPECT_EQ(world.image.cluster.broker(BrokerId{4}), nullptr);
  EXPECT_TRUE(world.image.configs.of(ConfigResource{ConfigResourceType::kBroker, "4"}).empty());
  EXPECT_EQ(world.cluster.status.initial_controllers.size(), 3u);
  EXPECT_EQ(world.cluster.status.pools[0].node_ids, (Ids{0, 1, 2}));
  EXPECT_EQ(world.ready().status, api::ConditionStatus::kTrue);
}

TEST(Scale, IsBlockedWhereReplicasWouldNotFitAndTouchesNothing) {
  World world(5);
  world.make_topic("wide", {{0, 1, 2, 3, 4}});
  world.make_topic("a", {{4, 3}});
  world.scale_to(3);
  const ScaleStep step = world.step();
  EXPECT_TRUE(step.moves.empty() && step.cordon.empty() && step.released.empty());
  EXPECT_EQ(world.ready().reason, api::reason::kReplicasDoNotFit);
  EXPECT_EQ(world.ready().message,
            "node 3, 4 cannot leave: topic wide has 5 replicas, and 3 brokers would be left");
  EXPECT_EQ(world.voters.size(), 5u);
  world.scale_to(5);
  world.step();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.ready().status, api::ConditionStatus::kTrue);
}

TEST(Scale, AnEditInTheMiddleOfADrainTakesItBack) {
  World world(5);
  world.cluster.spec.rebalance.on_scale = api::OnScale::kManual;
  world.make_topic("a", {{0, 3, 4}, {4, 1, 2}});
  world.scale_to(3);
  world.step();
  EXPECT_TRUE(is_moving(*world.image.topics.find("a")->partitions.find(0)));
  world.scale_to(5);
  world.step();
  EXPECT_FALSE(is_moving(*world.image.topics.find("a")->partitions.find(0)));
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.holders("a", 0), (Set{0, 3, 4}));
  EXPECT_EQ(world.holders("a", 1), (Set{4, 1, 2}));
  EXPECT_TRUE(world.image.configs.of(ConfigResource{ConfigResourceType::kBroker, "4"}).empty());
  EXPECT_EQ(world.pods.size(), 5u);
}

TEST(Scale, AnEditInTheMiddleOfASpreadTakesItBack) {
  World world(3);
  world.make_topic("a", std::vector<Ids>(10, {0, 1, 2}));
  world.scale_to(5);
  for (int i = 0; i < 3; ++i) world.step();
  EXPECT_TRUE(is_moving(*world.image.topics.find("a")->partitions.find(0)));
  world.scale_to(3);
  world.step();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(world.holders("a", i), (Set{0, 1, 2}));
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.pods, (Set{0, 1, 2}));
  EXPECT_EQ(world.voters, (Set{0, 1, 2}));
}

TEST(Scale, WhatIsPlacedOnANodeWhileItStopsIsMovedToo) {
  World world(4);
  world.scale_to(3);
  while (world.pods.contains(3)) world.step();
  world.make_topic("late", {{3, 0}});
  world.run();
  EXPECT_TRUE(world.at_rest());
  EXPECT_FALSE(world.holders("late", 0).contains(3));
  EXPECT_EQ(world.image.cluster.broker(BrokerId{3}), nullptr);
}

TEST(Scale, ManyPartitionsAreMovedAFewAtATime) {
  World world(4);
  world.make_topic("a", std::vector<Ids>(100, {3, 0}));
  world.scale_to(3);
  std::size_t most = 0;
  for (int i = 0; i < 40 && (i == 0 || !world.at_rest()); ++i) {
    most = std::max(most, world.step().moves.size());
    world.finish_moves();
  }
  EXPECT_EQ(most, kMovesAtOnce);
  EXPECT_TRUE(world.at_rest());
  EXPECT_EQ(world.pods, (Set{0, 1, 2}));
}

TEST(Scale, OneToThreeToFiveToThreeToOneEndsWhereItBegan) {
  World world(1);
  world.make_topic("a", {{0}, {0}, {0}});
  for (const int nodes : {3, 5, 3, 1}) {
    world.scale_to(nodes);
    world.run();
    ASSERT_TRUE(world.at_rest()) << nodes << " " << world.ready().message;
    EXPECT_EQ(static_cast<int>(world.voters.size()), nodes);
    EXPECT_EQ(static_cast<int>(world.pods.size()), nodes);
  }
  EXPECT_EQ(world.replicas("a", 2), Ids{0});
}

}  // namespace
}  // namespace op::plan
