#include "operator/provider/local_store.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "operator/provider/merge.h"

namespace op::provider {
namespace {

using kube::kConfigMap;
using kube::kTopic;
using nlohmann::json;

const ObjectKey kKey{"kafka", "a"};

std::string topic(int partitions) {
  return json{{"apiVersion", "millrace.io/v1beta1"},
              {"kind", "Topic"},
              {"metadata", {{"name", "a"}, {"namespace", "kafka"}}},
              {"spec", {{"partitions", partitions}}}}
      .dump();
}

TEST(Merge, AppliedFieldsThatAreWantedNoMoreGoAwayAndForeignOnesStay) {
  json live{{"labels", {{"ours", "1"}, {"theirs", "2"}}}, {"x", {{"y", 1}}}};
  apply_fields(live, {{"labels", {{"ours", "1"}}}, {"x", {{"y", 1}}}},
               {{"labels", {{"new", "3"}}}});
  EXPECT_EQ(live, (json{{"labels", {{"theirs", "2"}, {"new", "3"}}}}));
}

TEST(Merge, DefaultsFilledInByTheServerAreNoDifference) {
  const json wanted{{"ports", {{{"port", 1}}}}, {"none", json::object()}};
  EXPECT_TRUE(has_fields({{"ports", {{{"port", 1}, {"protocol", "TCP"}}}}, {"extra", 1}}, wanted));
  EXPECT_FALSE(has_fields({{"ports", {{{"port", 2}}}}}, wanted));
  EXPECT_FALSE(has_fields({{"ports", {{{"port", 1}}, {{"port", 2}}}}}, wanted));
}

TEST(LocalStore, AStatusIsNoNewGenerationAndSurvivesTheUsersEdit) {
  LocalStore store;
  const auto created = store.put(topic(1));
  ASSERT_TRUE(created.ok());
  ASSERT_TRUE(store.write_status(**created, R"({"ready":true})").ok());
  EXPECT_EQ(store.get(kTopic, kKey)->generation, 1);
  ASSERT_TRUE(store.put(topic(2)).ok());
  const auto now = store.get(kTopic, kKey);
  EXPECT_EQ(now->generation, 2);
  EXPECT_EQ(now->uid, (*created)->uid);
  EXPECT_TRUE(json::parse(now->json)["status"]["ready"]);
}

TEST(LocalStore, EqualContentIsNoChange) {
  LocalStore store;
  int changes = 0;
  store.subscribe(kTopic, [&](const ObjectPtr&, const ObjectPtr&) { ++changes; });
  store.put(topic(1)).ok();
  store.put(topic(1)).ok();
  EXPECT_EQ(changes, 1);
}

TEST(LocalStore, AFinalizerHoldsADeletedObjectUntilItIsTakenAway) {
  LocalStore store;
  store.put(topic(1)).ok();
  ASSERT_TRUE(store.set_finalizer(*store.get(kTopic, kKey), "millrace.io/kafka", true).ok());
  ASSERT_TRUE(store.remove_as_user(kTopic, kKey).ok());
  ASSERT_TRUE(store.get(kTopic, kKey)->deleting);
  ASSERT_TRUE(store.set_finalizer(*store.get(kTopic, kKey), "millrace.io/kafka", false).ok());
  EXPECT_EQ(store.get(kTopic, kKey), nullptr);
}

TEST(LocalStore, DependentsGoWithTheirOwner) {
  LocalStore store;
  const auto owner = store.put(topic(1));
  const json child{
      {"apiVersion", "v1"},
      {"kind", "ConfigMap"},
      {"metadata",
       {{"name", "c"}, {"namespace", "kafka"}, {"ownerReferences", {{{"uid", (*owner)->uid}}}}}}};
  ASSERT_TRUE(store.apply(kConfigMap, {"kafka", "c"}, child.dump()).ok());
  store.remove_as_user(kTopic, kKey).ok();
  EXPECT_EQ(store.get(kConfigMap, {"kafka", "c"}), nullptr);
}

TEST(LocalStore, AStatusIsNotWrittenToAnObjectCreatedAnew) {
  LocalStore store;
  const auto first = store.put(topic(1));
  store.remove_as_user(kTopic, kKey).ok();
  store.put(topic(1)).ok();
  EXPECT_EQ(store.write_status(**first, "{}").code(), broker::ErrorCode::kInvalidUpdateVersion);
}

}  // namespace
}  // namespace op::provider
