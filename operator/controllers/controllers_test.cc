#include <gtest/gtest.h>

#include <algorithm>

#include "operator/controllers/secret_memory.h"
#include "operator/controllers/world_for_tests.h"

namespace op::controllers {
namespace {

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
  spec["pools"][0]["replicas"] = 3;
  spec["hibernate"] = true;
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

TEST(UserLoop, QuotasAreRepairedAndGoWithTheUser) {
  World world;
  world.make_cluster();
  world.put("User", "kafka", "alice",
            in_orders({{"quotas", {{"producerByteRate", "1Mi"}, {"requestPercentage", 12.5}}}}));
  world.settle();
  const broker::metadata::QuotaEntity alice{{"user", "alice"}};
  using Values = std::map<std::string, double>;
  const Values wanted{{"producer_byte_rate", 1048576}, {"request_percentage", 12.5}};
  const auto now = [&] {
    const auto* found = world.kafka.image()->client_quotas.by_entity.find(alice);
    return found == nullptr ? Values() : *found;
  };
  EXPECT_EQ(now(), wanted);
  EXPECT_EQ(world.ready(kube::kUser, "kafka", "alice"), "True Ready");
  world.kafka.change([&](auto& image) {
    image.client_quotas.by_entity.set(alice, {{"producer_byte_rate", 1.0}});
  });
  world.kafka.announce({.users = {"alice"}});
  world.settle();
  EXPECT_EQ(now(), wanted);
  const int requests = world.kafka.requests;
  world.settle();
  EXPECT_EQ(world.kafka.requests, requests);
  world.put("User", "kafka", "alice", in_orders({{"quotas", {{"requestPercentage", 12.5}}}}));
  world.settle();
  EXPECT_EQ(now(), (Values{{"request_percentage", 12.5}}));
  ASSERT_TRUE(world.store.remove_as_user(kube::kUser, {"kafka", "alice"}).ok());
  world.settle();
  EXPECT_EQ(now(), Values());
  EXPECT_EQ(world.store.get(kube::kUser, {"kafka", "alice"}), nullptr);
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
TEST(Loops, AnOperatorThatHasJustStartedLeavesWhatItsPredecessorSaid) {
  World world;
  world.make_cluster();
  world.kafka.refuse["t"] = broker::ErrorCode::kPolicyViolation;
  world.put("Topic", "kafka", "t", in_orders({{"partitions", 3}}));
  world.settle();
  const std::string said = world.ready(kube::kTopic, "kafka", "t");
  EXPECT_EQ(said, "False RejectedByBroker");
  const auto writes = world.store.writes();
  world.kafka.up = false;  // as seen before the first connection
  world.start_operator();
  world.op->runner().run_until_idle(200);
  EXPECT_EQ(world.ready(kube::kTopic, "kafka", "t"), said);
  EXPECT_EQ(world.store.writes(), writes);
}

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
