// A Rebalance from its proposal to its end, and everything that may come between.
#include <gtest/gtest.h>

#include <set>

#include "operator/controllers/world_for_tests.h"

namespace op::controllers {
namespace {

using broker::BrokerId;

/// Three brokers, and twelve partitions all on the first two.
class Rebalancing : public ::testing::Test {
 protected:
  Rebalancing() {
    json spec = cluster_spec();
    spec["pools"][0]["replicas"] = 3;
    world.put("Cluster", "kafka", "orders", spec);
    world.settle();
    EXPECT_EQ(world.kafka.create({"t", 12, 2, {}}).code, broker::ErrorCode::kNone);
    auto topic = *world.kafka.topic("t");
    for (int i = 0; i < 12; ++i) {
      topic.partitions.set(i, {.replicas = {BrokerId{i % 2}, BrokerId{1 - i % 2}},
                               .isr = {BrokerId{i % 2}, BrokerId{1 - i % 2}},
                               .leader = BrokerId{i % 2}});
    }
    world.kafka.change([&](auto& image) { image.topics.by_id.set(topic.id, topic); });
    world.kafka.sizes["t"] = 1 << 20;
    world.kafka.hold_moves = true;
  }

  void declare(json more = json::object(), json annotations = json::object()) {
    json spec{{"clusterRef", {{"name", "orders"}}}};
    if (more.is_object()) spec.update(more);
    json document = json::parse(resource("Rebalance", "kafka", "even", spec));
    document["metadata"]["annotations"] = std::move(annotations);
    const auto stored = world.store.put(document.dump());
    ASSERT_TRUE(stored.ok()) << stored.error().detail;
    world.settle();
  }
  json status() { return world.status(kube::kRebalance, "kafka", "even"); }
  std::string ready() { return world.ready(kube::kRebalance, "kafka", "even"); }
  std::string id() { return status()["proposal"]["id"]; }
  void approve() { declare({}, {{"millrace.io/approve", id()}}); }
  int moving() {
    int out = 0;
    for (const auto& [index, partition] : world.kafka.topic("t")->partitions)
      out += partition.adding_replicas.empty() ? 0 : 1;
    return out;
  }
  std::map<int, int> replicas() {
    std::map<int, int> out;
    for (const auto& [index, partition] : world.kafka.topic("t")->partitions)
      for (const BrokerId id : partition.replicas) ++out[id.value];
    return out;
  }

  World world;
};

TEST_F(Rebalancing, IsShownBeforeItStartsAndStartsWhenThisProposalIsApproved) {
  declare();
  EXPECT_EQ(ready(), "False AwaitingApproval") << status().dump(1);
  const json proposal = status()["proposal"];
  EXPECT_EQ(proposal["replicas"], 8);
  EXPECT_EQ(proposal["bytes"], 8 << 20);
  EXPECT_EQ(proposal["size"], "8.0 MiB");
  EXPECT_EQ(proposal["brokers"], (json{"broker   replicas   leaders   disk",  //
                                       "0        12 -> 8    6 -> 4    12 MiB -> 8.0 MiB",
                                       "1        12 -> 8    6 -> 4    12 MiB -> 8.0 MiB",
                                       "2        0 -> 8     0 -> 4    0 B -> 8.0 MiB"}));
  EXPECT_EQ(world.document(kube::kConfigMap, "millrace-rebalance-even")["data"]["id"], id());
  EXPECT_TRUE(world.kafka.reassignments.empty());

  declare({}, {{"millrace.io/approve", "another"}});
  EXPECT_EQ(ready(), "False AwaitingApproval");
  approve();
  EXPECT_EQ(ready(), "False Moving");
  EXPECT_EQ(moving(), 8);
  world.kafka.finish_moves();
  world.settle();
  EXPECT_EQ(ready(), "True Balanced") << status().dump(1);
  EXPECT_EQ(replicas(), (std::map<int, int>{{0, 8}, {1, 8}, {2, 8}}));
  for (const auto& [index, partition] : world.kafka.topic("t")->partitions)
    EXPECT_EQ(partition.leader, partition.replicas.front()) << index;
  EXPECT_FALSE(
      world.store.get(kube::kRebalance, {"kafka", "even"})->has_finalizer("millrace.io/kafka"));
  const auto writes = world.store.writes();
  const int requests = world.kafka.requests;
  world.start_operator();
  world.settle();
  EXPECT_EQ(world.store.writes(), writes);
  EXPECT_EQ(world.kafka.requests, requests);
}

TEST_F(Rebalancing, AFewAtATimeAndAnyOperatorGoesOn) {
  declare({{"mode", "Auto"}, {"movesAtOnce", 3}});
  for (int round = 0; round < 10 && ready() != "True Balanced"; ++round) {
    EXPECT_LE(moving(), 3);
    world.start_operator();
    world.settle();
    EXPECT_LE(moving(), 3);
    world.kafka.finish_moves();
    world.settle();
  }
  EXPECT_EQ(ready(), "True Balanced") << status().dump(1);
  EXPECT_EQ(replicas(), (std::map<int, int>{{0, 8}, {1, 8}, {2, 8}}));
  EXPECT_EQ(world.kafka.reassignments.size(), 8u);
}

TEST_F(Rebalancing, CancelledIsTakenBackAndWhatWasMovedStays) {
  declare({{"mode", "Auto"}, {"movesAtOnce", 3}});
  world.kafka.finish_moves();
  world.settle();
  ASSERT_EQ(moving(), 3);
  declare({{"mode", "Auto"}, {"movesAtOnce", 3}}, {{"millrace.io/cancel", id()}});
  EXPECT_EQ(ready(), "False Cancelled") << status().dump(1);
  EXPECT_EQ(moving(), 0);
  EXPECT_EQ(replicas()[2], 3);
  EXPECT_FALSE(
      world.store.get(kube::kRebalance, {"kafka", "even"})->has_finalizer("millrace.io/kafka"));
  // The same annotation says nothing about the next proposal.
  declare({{"mode", "Auto"}, {"movesAtOnce", 3}},
          {{"millrace.io/cancel", id()}, {"millrace.io/refresh", "again"}});
  EXPECT_EQ(ready(), "False Moving");
}

TEST_F(Rebalancing, DeletingTheResourceTakesBackWhatIsUnderWay) {
  declare({{"mode", "Auto"}});
  ASSERT_EQ(moving(), 8);
  ASSERT_TRUE(world.store.remove_as_user(kube::kRebalance, {"kafka", "even"}).ok());
  world.settle();
  EXPECT_EQ(moving(), 0);
  EXPECT_EQ(replicas()[2], 0);
  EXPECT_EQ(world.store.get(kube::kRebalance, {"kafka", "even"}), nullptr);
}

TEST_F(Rebalancing, WhatSomebodyElseChangedIsLeftAlone) {
  declare();
  auto topic = *world.kafka.topic("t");
  topic.partitions.set(0, {.replicas = {BrokerId{2}}, .isr = {BrokerId{2}}, .leader = BrokerId{2}});
  world.kafka.change([&](auto& image) { image.topics.by_id.set(topic.id, topic); });
  approve();
  world.kafka.finish_moves();
  world.settle();
  EXPECT_EQ(ready(), "True Balanced");
  EXPECT_EQ(world.kafka.topic("t")->partitions.find(0)->replicas,
            std::vector<BrokerId>{BrokerId{2}});
}

TEST_F(Rebalancing, WaitsWhileABrokerIsAway) {
  world.kafka.fence_broker(2);
  declare({{"mode", "Auto"}});
  EXPECT_EQ(ready(), "False BrokersNotReady");
  EXPECT_TRUE(world.kafka.reassignments.empty());
  world.kafka.register_broker(2);
  world.kafka.announce({.brokers = true, .replication = true});
  world.settle();
  EXPECT_EQ(ready(), "False Moving");
}

TEST_F(Rebalancing, TheYoungerOneWaitsAndAGoalThatCannotBeMeasuredIsRefused) {
  declare({{"mode", "Auto"}});
  ASSERT_EQ(moving(), 8);
  world.put("Rebalance", "kafka", "younger",
            {{"clusterRef", {{"name", "orders"}}}, {"mode", "Auto"}});
  world.put("Rebalance", "kafka", "net",
            {{"clusterRef", {{"name", "orders"}}}, {"goals", {"NetworkIn"}}});
  world.settle();
  EXPECT_EQ(world.ready(kube::kRebalance, "kafka", "younger"), "False Conflict");
  EXPECT_EQ(world.ready(kube::kRebalance, "kafka", "net"), "False NotSupportedYet");
}

TEST_F(Rebalancing, LimitsAreSetBeforeAndRemovedAfterwardsAlsoByAnotherOperator) {
  using broker::metadata::ConfigResource;
  using broker::metadata::ConfigResourceType;
  json spec = cluster_spec();
  spec["pools"][0]["replicas"] = 3;
  spec["rebalance"] = {{"throttle", "1Mi"}};
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.status(kube::kCluster, "kafka", "orders")["throttleBytesPerSecond"], 1 << 20);
  const auto limits = [&] {
    std::set<std::string> out;
    for (const auto& [resource, configs] : world.kafka.image()->configs.by_resource)
      for (const auto& [key, value] : configs)
        if (key.find("throttled") != std::string::npos) out.insert(resource.name + " " + key);
    return out;
  };
  EXPECT_TRUE(limits().empty());
  declare({{"mode", "Auto"}});
  ASSERT_EQ(moving(), 8);
  EXPECT_EQ(limits().size(), 8u);  // two rates for each of three brokers, two lists of a topic
  const ConfigResource topic{ConfigResourceType::kTopic, "t"};
  const ConfigResource newcomer{ConfigResourceType::kBroker, "2"};
  EXPECT_EQ(world.kafka.image()->configs.of(newcomer).at("follower.replication.throttled.rate"),
            "1048576");
  const std::string followers =
      world.kafka.image()->configs.of(topic).at("follower.replication.throttled.replicas");
  for (const auto& [index, partition] : world.kafka.topic("t")->partitions) {
    const bool is_moving = !partition.adding_replicas.empty();
    EXPECT_EQ(
        ("," + followers + ",").find("," + std::to_string(index) + ":2,") != std::string::npos,
        is_moving);
  }
  world.op.reset();  // killed, and all is moved before the next one starts
  world.kafka.finish_moves();
  world.start_operator();
  world.settle();
  EXPECT_EQ(ready(), "True Balanced");
  EXPECT_TRUE(limits().empty()) << *limits().begin();
}

TEST_F(Rebalancing, MoreReplicasOfATopicAreShownInBytesToo) {
  world.put("Topic", "kafka", "t",
            {{"clusterRef", {{"name", "orders"}}}, {"name", "t"}, {"replicationFactor", 3}});
  world.settle();
  ASSERT_EQ(moving(), 12);
  const json progress = world.status(kube::kTopic, "kafka", "t")["progress"];
  EXPECT_EQ(progress["totalPartitions"], 12);
  EXPECT_EQ(progress["movedPartitions"], 0);
  EXPECT_EQ(progress["totalBytes"], 12 << 20);
  EXPECT_EQ(progress["movedBytes"], 0);
  world.kafka.finish_moves();
  world.kafka.announce({.topics = {"t"}});
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "True Ready");
  EXPECT_FALSE(world.status(kube::kTopic, "kafka", "t").contains("progress"));
}

TEST_F(Rebalancing, NothingIsDoneWhereNothingIsUneven) {
  declare({{"mode", "Auto"}});
  world.kafka.finish_moves();
  world.settle();
  ASSERT_EQ(ready(), "True Balanced");
  const auto before = world.kafka.reassignments.size();
  declare({{"mode", "Auto"}}, {{"millrace.io/refresh", "1"}});
  EXPECT_EQ(ready(), "True Balanced");
  EXPECT_EQ(status()["summary"], "nothing to move");
  EXPECT_EQ(world.kafka.reassignments.size(), before);
}

}  // namespace
}  // namespace op::controllers
