#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "operator/controllers/fake_kafka_for_tests.h"
#include "operator/controllers/operator.h"
#include "operator/controllers/secret_memory.h"
#include "operator/provider/kubernetes_infrastructure.h"
#include "operator/provider/local_store.h"

namespace op::controllers {
namespace {

using kube::ObjectPtr;
using nlohmann::json;
using provider::LocalStore;

json cluster_spec() {
  return json::parse(R"({
    "version": "1.0",
    "pools": [{"name": "main", "roles": ["Controller", "Broker"], "replicas": 1,
               "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}}],
    "tenants": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}, "prefixes": ["shop."]}],
    "authorization": {"type": "Simple", "superUsers": ["User:admin"]}})");
}

std::string resource(const char* kind, const std::string& ns, const std::string& name,
                     const json& spec) {
  return json{{"apiVersion", "millrace.io/v1beta1"},
              {"kind", kind},
              {"metadata", {{"name", name}, {"namespace", ns}}},
              {"spec", spec}}
      .dump();
}

json in_orders(json spec) {
  spec["clusterRef"] = {{"name", "orders"}, {"namespace", "kafka"}};
  return spec;
}

/// An API server in memory and one Kafka; the operator can be killed and started anew.
class World {
 public:
  World() { start_operator(); }

  void start_operator(OperatorSettings settings = {}) {
    op.reset();
    store.forget_subscribers();
    op = std::make_unique<Operator>(Operator::Ports{store, infrastructure, connector, scheduler},
                                    std::move(settings));
  }
  /// Until nothing is due: reconciles, lingering batches, pods that become ready.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      int work = op->runner().run_until_idle(2000);
      work += scheduler.run_all() ? 1 : 0;
      work += run_pods() ? 1 : 0;
      if (work == 0) return;
    }
    FAIL() << "it never settles";
  }
  /// Plays StatefulSet controller and kubelet.
  bool run_pods() {
    bool changed = false;
    for (const ObjectPtr& set : store.list(kube::kStatefulSet, "", "")) {
      const json document = json::parse(set->json);
      const int first = document["spec"]["ordinals"]["start"];
      const int replicas = document["spec"]["replicas"];
      for (int id = first; id < first + replicas; ++id) {
        if (pods_held.contains(id)) continue;
        changed = run_pod(*set, document, id) || changed;
      }
    }
    return changed;
  }
  bool run_pod(const kube::Object& set, const json& document, int id) {
    const std::string name = set.key.name + "-" + std::to_string(id);
    if (store.get(kube::kPod, {set.key.ns, name})) return false;
    json meta = document["spec"]["template"]["metadata"];
    meta["name"] = name;
    meta["namespace"] = set.key.ns;
    meta["ownerReferences"] = {{{"uid", set.uid}}};
    const json spec{{"nodeName", "n" + std::to_string(id)}};
    EXPECT_TRUE(
        store
            .put(json{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", meta}, {"spec", spec}}
                     .dump())
            .ok());
    EXPECT_TRUE(store
                    .put_status(kube::kPod, {set.key.ns, name},
                                R"({"conditions":[{"type":"Ready","status":"True"}]})")
                    .ok());
    start_kafka(document["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"], id);
    ++pods_started[id];
    return true;
  }
  /// An empty disk is formatted with what cluster.json says; the broker registers.
  void start_kafka(const std::string& config_map, int id) {
    const json config = document(kube::kConfigMap, config_map);
    kafka.cluster_id = json::parse(config["data"]["cluster.json"].get<std::string>())["clusterId"];
    kafka.up = true;
    const std::string server = config["data"]["server.properties"];
    if (server.find("process.roles=broker") != std::string::npos) kafka.register_broker(id);
    kafka.announce({.everything = true});
  }
  void make_cluster() {
    put("Cluster", "kafka", "orders", cluster_spec());
    settle();
  }
  void put(const char* kind, const std::string& ns, const std::string& name, const json& spec) {
    const auto stored = store.put(resource(kind, ns, name, spec));
    ASSERT_TRUE(stored.ok()) << stored.error().detail;
  }
  json status(const kube::Kind& kind, const std::string& ns, const std::string& name) const {
    const auto object = store.get(kind, {ns, name});
    return object ? json::parse(object->json).value("status", json::object()) : json();
  }
  std::string ready(const kube::Kind& kind, const std::string& ns, const std::string& name) const {
    for (const json& c : status(kind, ns, name).value("conditions", json::array())) {
      if (c["type"] == "Ready") {
        return c["status"].get<std::string>() + " " + c["reason"].get<std::string>();
      }
    }
    return "none";
  }
  json document(const kube::Kind& kind, const std::string& name) const {
    const auto object = store.get(kind, {"kafka", name});
    return object ? json::parse(object->json) : json();
  }

  std::set<int> pods_held;  // nodes whose pods do not start
  std::map<int, int> pods_started;
  LocalStore store;
  provider::KubernetesInfrastructure infrastructure;
  FakeKafka kafka;
  FakeConnector connector{kafka};
  ManualScheduler scheduler;
  std::unique_ptr<Operator> op;
};

TEST(ClusterLoop, MakesEveryChildAndIsReadyWhenBrokersAndKafkaAre) {
  World world;
  world.make_cluster();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready")
      << world.status(kube::kCluster, "kafka", "orders").dump(1);
  EXPECT_EQ(world.store.list(kube::kStatefulSet, "kafka", "").size(), 1u);
  EXPECT_GE(world.store.list(kube::kSecret, "kafka", "").size(), 4u);
  EXPECT_EQ(world.connector.last.controllers.front().host,
            "orders-main-0.orders-brokers.kafka.svc");
  EXPECT_FALSE(world.connector.last.certificate_pem.empty());
}

TEST(ClusterLoop, ConvergedInputWritesNothing) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "t", in_orders({{"name", "t"}, {"partitions", 2}}));
  world.put("User", "kafka", "alice", in_orders(json::object()));
  world.put("ACL", "kafka", "a",
            in_orders({{"userRef", {{"name", "alice"}}},
                       {"roles", {{{"type", "Producer"}, {"topics", {{{"name", "t"}}}}}}}}));
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "True Ready");
  EXPECT_EQ(world.ready(kube::kUser, "kafka", "alice"), "True Ready");
  EXPECT_EQ(world.ready(kube::kAcl, "kafka", "a"), "True Ready");
  const auto writes = world.store.writes();
  const int requests = world.kafka.requests;
  world.start_operator();  // a fresh one looks at everything again
  for (const kube::Kind* kind : {&kube::kCluster, &kube::kTopic, &kube::kUser, &kube::kAcl}) {
    world.store.subscribe(*kind, [](const ObjectPtr& old, const ObjectPtr& now) {
      ADD_FAILURE() << "changed from " << (old ? old->json : "nothing") << " to "
                    << (now ? now->json : "nothing");
    });
  }
  world.settle();
  EXPECT_EQ(world.store.writes(), writes);
  EXPECT_EQ(world.kafka.requests, requests);
}

TEST(ClusterLoop, RepairsChildrenThatWereDeletedOrEdited) {
  World world;
  world.make_cluster();
  for (const kube::Kind* kind : {&kube::kService, &kube::kConfigMap, &kube::kSecret,
                                 &kube::kStatefulSet, &kube::kNetworkPolicy}) {
    for (const ObjectPtr& child : world.store.list(*kind, "kafka", "")) {
      SCOPED_TRACE(std::string(kind->kind) + " " + child->key.name);
      const json before = json::parse(child->json);
      ASSERT_TRUE(world.store.remove_as_user(*kind, child->key).ok());
      world.settle();
      const auto again = world.store.get(*kind, child->key);
      ASSERT_NE(again, nullptr);
      EXPECT_EQ(json::parse(again->json).value("data", json()), before.value("data", json()));
      json edited = json::parse(again->json);
      edited["metadata"]["labels"].erase("app.kubernetes.io/part-of");
      if (edited.contains("data")) edited["data"].begin().value() = "YQ==";
      ASSERT_TRUE(world.store.put(edited.dump()).ok());
      world.settle();
      const json repaired = json::parse(world.store.get(*kind, child->key)->json);
      EXPECT_EQ(repaired["metadata"]["labels"], before["metadata"]["labels"]);
      EXPECT_EQ(repaired.value("data", json()), before.value("data", json()));
    }
  }
}

TEST(ClusterLoop, WhatCannotBeDoneIsRefusedAndTheRunningClusterStays) {
  World world;
  world.make_cluster();
  const auto set = world.store.get(kube::kStatefulSet, {"kafka", "orders-main"});
  json spec = cluster_spec();
  spec["pools"][0]["replicas"] = 3;  // the controllers with it
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False NotSupportedYet");
  EXPECT_EQ(world.store.get(kube::kStatefulSet, {"kafka", "orders-main"})->resource_version,
            set->resource_version);
}

TEST(ClusterLoop, ASpecThatCannotBeReadForgetsNothingAboutTheCluster) {
  World world;
  world.make_cluster();
  const json before = world.status(kube::kCluster, "kafka", "orders");
  json spec = cluster_spec();
  spec["pools"][0]["replicas"] = "one";
  world.put("Cluster", "kafka", "orders", spec);
  world.settle();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "False Invalid");
  const json conditions = world.status(kube::kCluster, "kafka", "orders")["conditions"];
  EXPECT_TRUE(std::any_of(conditions.begin(), conditions.end(), [](const json& c) {
    return c["type"] == "Stalled" && c["status"] == "True" && c["reason"] == "Invalid";
  }));
  world.make_cluster();
  EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
  const json after = world.status(kube::kCluster, "kafka", "orders");
  EXPECT_EQ(after["clusterId"], before["clusterId"]);
  EXPECT_EQ(after["initialControllers"], before["initialControllers"]);
}

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

TEST(TopicLoop, AThousandTopicsAreAFewRequests) {
  World world;
  world.make_cluster();
  const int before = world.kafka.requests;
  for (int i = 0; i < 1000; ++i) {
    world.put("Topic", "kafka", "t" + std::to_string(i), in_orders({{"partitions", 1}}));
  }
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t0"), "True Ready");
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t999"), "True Ready");
  EXPECT_LE(world.kafka.requests - before, 3);
}

TEST(TopicLoop, RepairsDriftAtOnceAndReportsATopicDeletedOutside) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "t", in_orders({{"config", {{"retention.ms", "1000"}}}}));
  world.settle();
  const broker::metadata::ConfigResource config{broker::metadata::ConfigResourceType::kTopic, "t"};
  world.kafka.change([&](auto& image) {
    image.configs.by_resource.set(config, {{"retention.ms", "5"}, {"segment.ms", "7"}});
  });
  world.kafka.announce({.topics = {"t"}});
  world.settle();
  const auto& repaired = world.kafka.image()->configs.of(config);
  EXPECT_EQ(repaired.at("retention.ms"), "1000");
  EXPECT_EQ(repaired.at("segment.ms"), "7");  // not ours
  world.kafka.erase("t");
  world.kafka.announce({.topics = {"t"}});
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "False DeletedOutside");
  EXPECT_EQ(world.kafka.topic("t"), nullptr);
}

TEST(ClusterLoop, AnOperatorWithAnotherDefaultImageRestartsNothing) {
  World world;
  world.make_cluster();
  const auto before = world.document(kube::kStatefulSet, "orders-main");
  world.start_operator({.default_image = "millrace/broker:another"});
  world.settle();
  EXPECT_EQ(world.document(kube::kStatefulSet, "orders-main"), before);
}

TEST(TopicLoop, WhatWasDeclaredWhileOutOfStepIsDoneWhenInStepAgain) {
  World world;
  world.make_cluster();
  world.kafka.up = false;
  world.kafka.announce({.state = true});
  world.put("Topic", "kafka", "t", in_orders({{"partitions", 1}}));
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "False ClusterNotReady");
  world.kafka.up = true;
  world.kafka.announce({.state = true});  // the image is the one of before
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "True Ready");
}

TEST(TopicLoop, ARefusedSpecIsToldOnceAsAnEvent) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "t", in_orders({{"config", {{"retention.msec", 1}}}}));
  world.settle();
  world.start_operator();
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "False Invalid");
  const auto events = world.store.events();
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const auto& event) { return event.reason == "Invalid"; }),
            1);
}

TEST(TopicLoop, ARefusalShowsInStatusAndIsNotHammered) {
  World world;
  world.make_cluster();
  world.kafka.refuse["t"] = broker::ErrorCode::kPolicyViolation;
  world.put("Topic", "kafka", "t", in_orders(json::object()));
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "False RejectedByBroker");
  const int requests = world.kafka.requests;
  for (int i = 0; i < 5; ++i) world.kafka.announce({.topics = {"t"}});
  world.settle();
  EXPECT_EQ(world.kafka.requests, requests);
}

TEST(TopicLoop, TheOlderOfTwoWinsAndTheOtherTakesOver) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "a", in_orders({{"name", "same"}, {"onDelete", "Retain"}}));
  world.put("Topic", "kafka", "b", in_orders({{"name", "same"}}));
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "a"), "True Ready");
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "b"), "False Conflict");
  ASSERT_TRUE(world.store.remove_as_user(kube::kTopic, {"kafka", "a"}).ok());
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "b"), "True Ready");
}

TEST(TopicLoop, DeletesInKafkaOnlyWhenAskedTo) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "keep", in_orders(json::object()));
  world.put("Topic", "kafka", "drop", in_orders({{"onDelete", "Delete"}}));
  world.settle();
  EXPECT_TRUE(world.store.get(kube::kTopic, {"kafka", "keep"})->finalizers.empty());
  ASSERT_TRUE(world.store.remove_as_user(kube::kTopic, {"kafka", "keep"}).ok());
  ASSERT_TRUE(world.store.remove_as_user(kube::kTopic, {"kafka", "drop"}).ok());
  world.settle();
  EXPECT_NE(world.kafka.topic("keep"), nullptr);
  EXPECT_EQ(world.kafka.topic("drop"), nullptr);
  EXPECT_EQ(world.store.get(kube::kTopic, {"kafka", "drop"}), nullptr);
}

TEST(TopicLoop, AnEmptiedClusterIsNotFilledByItself) {
  World world;
  world.make_cluster();
  world.put("Topic", "kafka", "t", in_orders({{"onMissing", "Recreate"}}));
  world.settle();
  world.kafka.erase("t");
  world.kafka.cluster_id = "another-cluster-id-000";
  world.kafka.announce({.everything = true});
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "False ClusterIdChanged");
  EXPECT_EQ(world.kafka.topic("t"), nullptr);
}

TEST(Loops, ADeletedClusterHoldsNoFinalizer) {
  World world;
  world.make_cluster();
  world.put("User", "kafka", "alice", in_orders(json::object()));
  world.put("Topic", "kafka", "t", in_orders({{"onDelete", "Delete"}}));
  world.settle();
  ASSERT_TRUE(world.store.remove_as_user(kube::kCluster, {"kafka", "orders"}).ok());
  ASSERT_TRUE(world.store.remove_as_user(kube::kUser, {"kafka", "alice"}).ok());
  ASSERT_TRUE(world.store.remove_as_user(kube::kTopic, {"kafka", "t"}).ok());
  world.settle();
  EXPECT_EQ(world.store.get(kube::kUser, {"kafka", "alice"}), nullptr);
  EXPECT_EQ(world.store.get(kube::kTopic, {"kafka", "t"}), nullptr);
}

TEST(UserLoop, KeepsThePasswordWhenItsSecretIsDeleted) {
  World world;
  world.make_cluster();
  world.put("User", "kafka", "alice", in_orders(json::object()));
  world.settle();
  const ObjectKey secret{"kafka", "alice"};
  const auto before = secret_data(*world.store.get(kube::kSecret, secret));
  EXPECT_FALSE(before.at("password").empty());
  EXPECT_FALSE(before.at("client.properties").empty());
  ASSERT_TRUE(world.store.remove_as_user(kube::kSecret, secret).ok());
  const int requests = world.kafka.requests;
  world.settle();
  EXPECT_EQ(secret_data(*world.store.get(kube::kSecret, secret)), before);
  EXPECT_EQ(world.kafka.requests, requests);
}

TEST(UserLoop, AStrangersSecretIsNotTakenOver) {
  World world;
  world.make_cluster();
  const json secret{{"apiVersion", "v1"},
                    {"kind", "Secret"},
                    {"metadata", {{"name", "alice"}, {"namespace", "kafka"}}},
                    {"data", {{"x", "eA=="}}}};
  ASSERT_TRUE(world.store.put(secret.dump()).ok());
  world.put("User", "kafka", "alice", in_orders(json::object()));
  world.settle();
  EXPECT_EQ(world.ready(kube::kUser, "kafka", "alice"), "False SecretConflict");
  EXPECT_EQ(world.document(kube::kSecret, "alice")["data"], secret["data"]);
}

TEST(UserLoop, PasswordFromASecretAndItsAbsence) {
  World world;
  world.make_cluster();
  world.put("User", "kafka", "alice",
            in_orders({{"authentication",
                        {{"type", "ScramSha512"},
                         {"passwordFrom", {{"secretKeyRef", {{"name", "p"}, {"key", "k"}}}}}}}}));
  world.settle();
  EXPECT_EQ(world.ready(kube::kUser, "kafka", "alice"), "False SecretNotFound");
}

TEST(Tenants, AForeignNamespaceGetsItsPrefixesAndNoSuperUser) {
  World world;
  world.make_cluster();
  ASSERT_TRUE(world.store
                  .put(R"({"apiVersion":"v1","kind":"Namespace",
                           "metadata":{"name":"shop","labels":{"team":"shop"}}})")
                  .ok());
  world.put("Topic", "shop", "good", in_orders({{"name", "shop.orders"}}));
  world.put("Topic", "shop", "bad", in_orders({{"name", "billing.orders"}}));
  world.put("Topic", "other", "bad", in_orders({{"name", "shop.x"}}));
  world.put("User", "shop", "admin", in_orders(json::object()));
  world.settle();
  EXPECT_EQ(world.ready(kube::kTopic, "shop", "good"), "True Ready");
  EXPECT_EQ(world.ready(kube::kTopic, "shop", "bad"), "False NotAdmitted");
  EXPECT_EQ(world.ready(kube::kTopic, "other", "bad"), "False NotAdmitted");
  EXPECT_EQ(world.ready(kube::kUser, "shop", "admin"), "False NotAdmitted");
  EXPECT_TRUE(world.kafka.image()->scram.credentials.empty());
}

TEST(AclLoop, ABindingOfTwoResourcesGoesWithItsLastOwner) {
  World world;
  world.make_cluster();
  world.put("User", "kafka", "alice", in_orders(json::object()));
  const json spec = in_orders(
      {{"principal", "User:alice"},
       {"rules", {{{"resource", {{"type", "Topic"}, {"name", "t"}}}, {"operations", {"Read"}}}}}});
  world.put("ACL", "kafka", "one", spec);
  world.put("ACL", "kafka", "two", spec);
  world.settle();
  EXPECT_EQ(world.kafka.image()->acls.by_id.size(), 1u);
  ASSERT_TRUE(world.store.remove_as_user(kube::kAcl, {"kafka", "one"}).ok());
  world.settle();
  EXPECT_EQ(world.store.get(kube::kAcl, {"kafka", "one"}), nullptr);
  EXPECT_EQ(world.kafka.image()->acls.by_id.size(), 1u);
  ASSERT_TRUE(world.store.remove_as_user(kube::kAcl, {"kafka", "two"}).ok());
  world.settle();
  EXPECT_EQ(world.kafka.image()->acls.by_id.size(), 0u);
}

/// Killed after any number of reconciles, and once more, it ends where an undisturbed one ends,
/// with one object of each name.
TEST(Loops, AnOperatorKilledAnywhereEndsInTheSameState) {
  for (int kill_after = 0; kill_after < 20; ++kill_after) {
    SCOPED_TRACE(::testing::Message() << "killed after " << kill_after);
    World world;
    world.put("Cluster", "kafka", "orders", cluster_spec());
    world.put("Topic", "kafka", "t", in_orders({{"partitions", 3}}));
    world.put("User", "kafka", "alice", in_orders(json::object()));
    world.op->runner().run_until_idle(kill_after);
    if (kill_after % 2 == 1) world.scheduler.run_all();
    world.start_operator();
    world.op->runner().run_until_idle(200);
    world.kafka.cluster_id = world.status(kube::kCluster, "kafka", "orders").value("clusterId", "");
    world.start_operator();
    world.settle();
    EXPECT_EQ(world.ready(kube::kCluster, "kafka", "orders"), "True Ready");
    EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), "True Ready");
    EXPECT_EQ(world.ready(kube::kUser, "kafka", "alice"), "True Ready");
    EXPECT_EQ(world.kafka.image()->topics.ids.size(), 1u);
    EXPECT_EQ(world.kafka.image()->scram.credentials.size(), 1u);
    EXPECT_EQ(world.store.list(kube::kSecret, "kafka", "").size(), 5u);
  }
}

}  // namespace
}  // namespace op::controllers
