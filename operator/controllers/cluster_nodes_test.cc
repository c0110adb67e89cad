// A Cluster of several nodes: its quorum, racks, restarts and lost voters.
#include <gtest/gtest.h>

#include "operator/controllers/world_for_tests.h"

namespace op::controllers {
namespace {

json three_nodes() {
  json spec = cluster_spec();
  spec["pools"][0]["replicas"] = 3;
  return spec;
}

json config_of(const World& world, const char* key) {
  return world.document(kube::kConfigMap, "orders-main")["data"].value(key, json());
}

TEST(ClusterLoop, ThreeNodesFormOneQuorumHoweverTheOperatorRestarts) {
  World world;
  world.pods_held = {1, 2};
  world.put("Cluster", "kafka", "orders", three_nodes());
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False BrokersNotReady");
  const json voters = json::parse(config_of(world, "cluster.json").get<std::string>());
  EXPECT_EQ(voters["initialControllers"].size(), 3u);
  EXPECT_FALSE(voters["formatted"].get<bool>());
  EXPECT_TRUE(voters["initialControllers"][0]["formatted"].get<bool>());
  for (const int id : {2, 1}) {
    world.start_operator();
    world.pods_held.erase(id);
    world.settle();
  }
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  json now = json::parse(config_of(world, "cluster.json").get<std::string>());
  EXPECT_TRUE(now["formatted"].get<bool>());
  for (auto* side : {&now, const_cast<json*>(&voters)})
    for (auto& controller : (*side)["initialControllers"]) controller.erase("formatted");
  EXPECT_EQ(now["initialControllers"], voters["initialControllers"]);
  EXPECT_EQ(world.connector.last.controllers.size(), 3u);
  EXPECT_EQ(world.connector.last.brokers.size(), 3u);
}

TEST(ClusterLoop, ARestartTakesOnePodAfterTheOther) {
  World world;
  world.put("Cluster", "kafka", "orders", three_nodes());
  world.settle();
  world.kafka.quorum = FakeKafka::quorum_of({0, 1, 2}, 1);
  world.pods_held = {0, 1, 2};  // who goes comes back when we say so
  json spec = three_nodes();
  spec["config"] = {{"auto.create.topics.enable", true}};
  world.put("Cluster", "kafka", "orders", spec);
  std::vector<int> order;
  for (int round = 0; round < 3; ++round) {
    world.settle();
    world.start_operator();
    world.settle();
    std::vector<int> gone;
    for (int id = 0; id < 3; ++id) {
      if (!world.store.get(kube::kPod, {"kafka", "orders-main-" + std::to_string(id)})) {
        gone.push_back(id);
      }
    }
    ASSERT_EQ(gone.size(), 1u) << round;
    order.push_back(gone[0]);
    const json roll = world.status(kube::kCluster, "kafka", "orders")["roll"];
    EXPECT_EQ(roll["done"], round);
    EXPECT_EQ(roll["total"], 3);
    world.pods_held.erase(gone[0]);
    world.run_pods();
    world.pods_held.insert(gone[0]);
  }
  world.settle();
  EXPECT_EQ(order, (std::vector<int>{0, 2, 1}));  // the leader of the quorum last
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  EXPECT_FALSE(world.status(kube::kCluster, "kafka", "orders").contains("roll"));
}

TEST(ClusterLoop, RestartsWaitForTheirWindowUnlessTheAnnotationSaysOtherwise) {
  World world;
  OperatorSettings settings;
  broker::WallMs now = plan::to_wall_ms("2026-07-10T12:00:00Z");
  settings.wall_now = [&now] { return now; };
  world.start_operator(settings);
  json spec = three_nodes();
  spec["maintenanceWindows"] = {
      {{"schedule", "0 2 * * *"}, {"duration", "2h"}, {"timeZone", "Europe/Berlin"}}};
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  world.kafka.quorum = FakeKafka::quorum_of({0, 1, 2}, 1);
  const auto started = world.pods_started;
  spec["config"] = {{"auto.create.topics.enable", true}};
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False MaintenanceWindow");
  const json status = world.status(kube::kCluster, "kafka", "orders");
  EXPECT_EQ(status["roll"]["windowOpens"], "2026-07-11T00:00:00Z");
  EXPECT_EQ(status["activity"], "Waiting 0/3");
  EXPECT_EQ(world.pods_started, started);
  now = plan::to_wall_ms("2026-07-11T00:00:00Z");
  for (int i = 0; i < 5; ++i) {
    world.start_operator(settings);
    world.settle();
  }
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  EXPECT_NE(world.pods_started, started);

  now = plan::to_wall_ms("2026-07-11T12:00:00Z");
  spec["config"] = {{"auto.create.topics.enable", false}};
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False MaintenanceWindow");
  json document = json::parse(resource("Cluster", "kafka", "orders", spec));
  document["metadata"]["annotations"]["millrace.io/ignore-maintenance-windows"] = "true";
  ASSERT_TRUE(world.store.put(document.dump()).ok());
  for (int i = 0; i < 5; ++i) {
    world.start_operator(settings);
    world.settle();
  }
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  spec["maintenanceWindows"][0]["timeZone"] = "Europe/Atlantis";
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False Invalid");
}

TEST(ClusterLoop, ALostVoterIsReplacedOnceItHasCaughtUp) {
  World world;
  world.put("Cluster", "kafka", "orders", three_nodes());
  world.settle();
  auto quorum = *FakeKafka::quorum_of({0, 1, 2}, 0);
  quorum.voters[2].caught_up = false;
  quorum.observers.push_back({2, broker::Uuid{9, 9}, true});
  quorum.asked_at = std::chrono::steady_clock::now();
  world.kafka.quorum = std::make_shared<kafka::QuorumDescription>(quorum);
  world.kafka.announce({.quorum = true});
  world.settle();
  ASSERT_EQ(world.kafka.voter_changes.size(), 2u);
  EXPECT_TRUE(world.kafka.voter_changes[0].remove);
  EXPECT_EQ(world.kafka.voter_changes[0].directory_id, (broker::Uuid{1, 2}));
  EXPECT_EQ(world.kafka.voter_changes[1].directory_id, (broker::Uuid{9, 9}));
  EXPECT_EQ(world.kafka.voter_changes[1].endpoint.host, "orders-main-2.orders-brokers.kafka.svc");
  EXPECT_EQ(world.status(kube::kCluster, "kafka", "orders")["quorumLeader"], 0);
}

TEST(ClusterLoop, NodesLeaveWhenTheyHoldNothingAndHaveNoVote) {
  World world;
  world.put("Cluster", "kafka", "orders", three_nodes());
  world.settle();
  world.kafka.quorum = FakeKafka::quorum_of({0, 1, 2}, 2);
  EXPECT_EQ(world.kafka.create({"t", 2, 1, {}}).code, broker::ErrorCode::kNone);
  auto topic = *world.kafka.topic("t");
  topic.partitions.set(1, {.replicas = {broker::BrokerId{2}},
                           .isr = {broker::BrokerId{2}},
                           .leader = broker::BrokerId{2}});
  world.kafka.change([&](auto& image) { image.topics.by_id.set(topic.id, topic); });
  world.put("Cluster", "kafka", "orders", cluster_spec());
  for (int i = 0; i < 5; ++i) {
    world.settle();
    world.start_operator();  // killed anywhere, it goes on
  }
  world.settle();
  ASSERT_EQ(world.kafka.reassignments.size(), 1u);
  EXPECT_EQ(world.kafka.reassignments[0].replicas, std::vector<std::int32_t>{0});
  ASSERT_EQ(world.kafka.voter_changes.size(), 2u);
  EXPECT_EQ(world.kafka.voter_changes[0].node_id, 1);  // the leader of the quorum last
  EXPECT_EQ(world.kafka.voter_changes[1].node_id, 2);
  EXPECT_EQ(world.document(kube::kStatefulSet, "orders-main")["spec"]["replicas"], 1);
  EXPECT_EQ(world.kafka.image()->cluster.brokers.size(), 1u);
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  EXPECT_FALSE(world.status(kube::kCluster, "kafka", "orders").contains("scale"));
}

TEST(ClusterLoop, ABrokerGetsTheRackOfItsNodeAndKeepsItWhileItIsAway) {
  World world;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(world.store
                    .put(json{{"apiVersion", "v1"},
                              {"kind", "Node"},
                              {"metadata",
                               {{"name", "n" + std::to_string(i)},
                                {"labels", {{"zone", "z" + std::to_string(i)}}}}}}
                             .dump())
                    .ok());
  }
  json spec = three_nodes();
  spec["rack"] = {{"topologyKey", "zone"}};
  world.pods_held = {1};
  world.kafka.racks = {{0, "z0"}, {1, "z1"}, {2, "z2"}};
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_NE(config_of(world, "0.properties").get<std::string>().find("broker.rack=z0"),
            std::string::npos);
  EXPECT_TRUE(config_of(world, "1.properties").is_null());
  world.pods_held.clear();
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  world.pods_held = {2};
  ASSERT_TRUE(world.store.remove_as_user(kube::kPod, {"kafka", "orders-main-2"}).ok());
  world.start_operator();
  world.settle();
  EXPECT_NE(config_of(world, "2.properties").get<std::string>().find("broker.rack=z2"),
            std::string::npos);
}

}  // namespace
}  // namespace op::controllers
