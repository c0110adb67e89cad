#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "operator/api/acl.h"
#include "operator/api/cluster.h"
#include "operator/api/json.h"
#include "operator/api/quantity.h"
#include "operator/api/rebalance.h"
#include "operator/api/topic.h"
#include "operator/api/user.h"
#include "operator/api/validate.h"

namespace op::api {
namespace {

using nlohmann::json;

json cluster_json(json spec_patch = json::object()) {
  json object = json::parse(R"({
    "apiVersion": "millrace.io/v1beta1", "kind": "Cluster",
    "metadata": {"name": "orders", "namespace": "kafka", "uid": "u-1", "generation": 3},
    "spec": {"pools": [{"name": "main", "roles": ["Controller", "Broker"],
      "storage": {"volumes": [{"name": "data", "size": "10Gi"}]}}]}})");
  object["spec"].merge_patch(spec_patch);
  return object;
}

std::vector<std::string> problems(const json& object) {
  const auto cluster = parse_cluster(object);
  EXPECT_TRUE(cluster.ok()) << cluster.error().detail;
  std::vector<std::string> out;
  for (const FieldError& error : validate(*cluster))
    out.push_back(std::string(error.reason) + " " + to_string(error));
  return out;
}

TEST(Api, MinimalClusterGetsEveryDefaultAndIsSupported) {
  const auto cluster = parse_cluster(cluster_json(), Unknown::kRefused);
  ASSERT_TRUE(cluster.ok()) << cluster.error().detail;
  EXPECT_EQ(cluster->spec.version, "1.0");
  ASSERT_EQ(cluster->spec.listeners.size(), 1u);
  EXPECT_EQ(cluster->spec.listeners[0], default_listener());
  EXPECT_EQ(security_protocol(cluster->spec.listeners[0]), "SASL_SSL");
  EXPECT_EQ(cluster->spec.authorization.type, AuthorizationType::kSimple);
  EXPECT_EQ(cluster->spec.pools[0].replicas, 1);
  EXPECT_TRUE(validate(*cluster).empty()) << to_string(validate(*cluster));
}

TEST(Api, NamesThePathOfAWrongType) {
  json object = cluster_json();
  object["spec"]["pools"][0]["replicas"] = "three";
  EXPECT_EQ(parse_cluster(object).error().detail, "spec.pools[0].replicas: wants a whole number");
}

TEST(Api, RefusesMisspeltFieldsOfFilesOnly) {
  json object = cluster_json({{"listerners", json::array()}});
  EXPECT_TRUE(parse_cluster(object).ok());
  EXPECT_EQ(parse_cluster(object, Unknown::kRefused).error().detail,
            "spec.listerners: unknown field");
}

TEST(Api, NamesAnEnumsValues) {
  const json object = cluster_json({{"authorization", {{"type", "Opa"}}}});
  EXPECT_EQ(parse_cluster(object).error().detail,
            "spec.authorization.type: \"Opa\" is none of Simple, None");
}

TEST(Api, KeepsScalarsOfConfigInTheirTextForm) {
  const json object = cluster_json(
      {{"config",
        {{"num.partitions", 3}, {"delete.topic.enable", true}, {"compression.type", "zstd"}}}});
  const auto cluster = parse_cluster(object);
  ASSERT_TRUE(cluster.ok());
  EXPECT_EQ(cluster->spec.config.at("num.partitions"), "3");
  EXPECT_EQ(cluster->spec.config.at("delete.topic.enable"), "true");
  EXPECT_TRUE(problems(object).empty());
}

TEST(Api, JudgesConfigByTheBrokersOwnKeys) {
  EXPECT_EQ(problems(cluster_json({{"config", {{"foo.bar", 1}}}})),
            (std::vector<std::string>{
                "Invalid spec.config[foo.bar]: is no configuration key of a Kafka broker"}));
  EXPECT_EQ(problems(cluster_json({{"config", {{"node.id", 1}}}})),
            (std::vector<std::string>{"Invalid spec.config[node.id]: is set by the operator from "
                                      "the rest of the resource"}));
  EXPECT_EQ(problems(cluster_json({{"config", {{"min.insync.replicas", 2}}}})),
            (std::vector<std::string>{"Invalid spec.config[min.insync.replicas]: 2 is more than "
                                      "the brokers there are (1)"}));
  EXPECT_EQ(problems(cluster_json({{"config", {{"num.partitions", "many"}}}})).size(), 1u);
}

TEST(Api, RefusesWhatIsNotThereYetByField) {
  const json object =
      cluster_json({{"hibernate", true}, {"upgrade", {{"rollBy", "Rack"}, {"soak", "1m"}}}});
  EXPECT_EQ(problems(object),
            (std::vector<std::string>{
                "NotSupportedYet spec.upgrade.rollBy: Rack",
                "NotSupportedYet spec.upgrade.soak: a roll ends when the last broker is back",
                "NotSupportedYet spec.hibernate: true"}));
}

json pools_json(const char* pools) { return cluster_json({{"pools", json::parse(pools)}}); }

TEST(Api, AQuorumHasOneThreeOrFiveControllers) {
  const char* kVolumes = R"("storage": {"volumes": [{"name": "data", "size": "1Gi"}]})";
  const auto combined = [&](int replicas) {
    return problems(
        pools_json((R"([{"name": "main", "roles": ["Controller", "Broker"], )" +
                    std::string(kVolumes) + R"(, "replicas": )" + std::to_string(replicas) + "}]")
                       .c_str()));
  };
  EXPECT_TRUE(combined(3).empty());
  EXPECT_TRUE(combined(5).empty());
  ASSERT_EQ(combined(4).size(), 1u);
  EXPECT_TRUE(combined(4).front().starts_with(
      "Invalid spec.pools: a quorum has 1, 3 or 5 controllers, these pools have 4"));
  EXPECT_EQ(combined(7).size(), 1u);
  const auto dedicated = [&](int controllers, int first) {
    return problems(
        pools_json((R"([{"name": "ctl", "roles": ["Controller"], )" + std::string(kVolumes) +
                    R"(, "replicas": )" + std::to_string(controllers) +
                    R"(}, {"name": "brk", "roles": ["Broker"], "replicas": 4, "firstNodeId": )" +
                    std::to_string(first) + ", " + kVolumes + "}]")
                       .c_str()));
  };
  EXPECT_TRUE(dedicated(3, 100).empty());
  EXPECT_EQ(dedicated(2, 100).size(), 1u);
  ASSERT_EQ(dedicated(3, 2).size(), 1u);
  EXPECT_TRUE(dedicated(3, 2).front().starts_with("Invalid spec.pools: pools must not share"));
}

TEST(Api, APoolIsRemovedOnlyWhenItIsEmpty) {
  auto cluster = *parse_cluster(cluster_json());
  cluster.status.pools = {{"main", 1, 1, {0}}, {"more", 2, 2, {10, 11}}};
  ASSERT_EQ(validate(cluster).size(), 1u);
  EXPECT_EQ(validate(cluster)[0].message,
            "pool more still has node 10, 11: set its replicas to 0, and remove it when they are "
            "gone");
  cluster.status.pools[1].node_ids.clear();
  EXPECT_TRUE(validate(cluster).empty());
  cluster.spec.pools[0].replicas = 0;
  EXPECT_FALSE(validate(cluster).empty());
}

TEST(Api, PutsWhatCanNeverWorkBeforeWhatIsNotThereYet) {
  const json object = cluster_json({{"hibernate", true}, {"config", {{"foo", 1}}}});
  const auto cluster = parse_cluster(object);
  ASSERT_TRUE(cluster.ok());
  EXPECT_EQ(validate(*cluster).front().reason, reason::kInvalid);
}

TEST(Api, StatusSurvivesTheRoundTrip) {
  ClusterStatus status;
  status.observed_generation = 3;
  status.conditions = {
      {"Ready", ConditionStatus::kTrue, "Ready", "1 of 1", 3, "2026-01-01T00:00:00Z"}};
  status.cluster_id = "abc";
  status.initial_controllers = {{0, "dir", true}, {1, "dir1", false}};
  status.quorum_leader = 1;
  status.placements = {{0, "n0", "z0"}, {1, "n1", ""}};
  status.roll = RollStatus{3, 1, 2, "uid", 77, "broker 2 is not registered", {"shop.orders"}};
  status.formatted = true;
  status.listeners = {{"tls", "orders-bootstrap.kafka.svc:9093", "SASL_SSL"}};
  status.pools = {{"main", 1, 1, {0}}};
  status.owned_config = {"num.partitions"};
  status.scale =
      ScaleStatus{{3, 4}, {7}, 5, 12, 500, 1200, "2026-01-01T00:00:00Z", "4m10s", "something"};
  status.roll->window_opens = "2026-01-02T00:00:00Z";
  status.throttle_bytes_per_second = 1000;
  status.activity = "Draining 5/12";
  json object = cluster_json();
  object["status"] = encode_status(status);
  const auto cluster = parse_cluster(object, Unknown::kRefused);
  ASSERT_TRUE(cluster.ok()) << cluster.error().detail;
  EXPECT_EQ(cluster->status, status);
}

TEST(Api, ARebalanceHasDefaultsAndItsStatusSurvivesTheRoundTrip) {
  json object = json::parse(R"({"kind": "Rebalance", "metadata": {"name": "r", "namespace": "n"},
    "spec": {"clusterRef": {"name": "orders"}}})");
  RebalanceStatus status;
  status.cluster_id = "abc";
  status.state = RebalanceState::kRunning;
  status.proposal = RebalanceProposal{"5f2b", 3,       "again",   "2026-01-01T00:00:00Z", 12, 8, 4,
                                      800,    "800 B", {"a", "b"}};
  status.progress = MoveProgress{1, 2, 3, 4, 5, "x", "y", "z", "4m", "something"};
  status.summary = "1/2, 4m";
  object["status"] = encode_status(status);
  const auto rebalance = parse_rebalance(object, Unknown::kRefused);
  ASSERT_TRUE(rebalance.ok()) << rebalance.error().detail;
  EXPECT_EQ(rebalance->status, status);
  EXPECT_EQ(rebalance->spec.goals.size(), 3u);
  EXPECT_TRUE(validate(*rebalance).empty());
}

TEST(Api, ARebalanceIsOfAClusterBesideItAndOfWhatIsMeasured) {
  Rebalance rebalance;
  rebalance.metadata.namespace_ = "shop";
  rebalance.spec.cluster_ref = {ClusterKind::kCluster, {"kafka", "orders"}};
  rebalance.spec.goals = {RebalanceGoal::kDiskUsage, RebalanceGoal::kNetworkIn,
                          RebalanceGoal::kDiskUsage};
  std::set<std::string> fields;
  for (const FieldError& error : validate(rebalance)) fields.insert(error.field);
  EXPECT_EQ(fields, (std::set<std::string>{"spec.clusterRef.namespace", "spec.goals"}));
  rebalance.spec.cluster_ref.object.namespace_ = "shop";
  rebalance.spec.goals = {RebalanceGoal::kNetworkOut};
  EXPECT_EQ(validate(rebalance).front().reason, reason::kNotSupportedYet);
}

TEST(Api, TopicNamesAndConfigAreJudged) {
  json object = json::parse(R"({"kind": "Topic", "metadata": {"name": "t", "namespace": "n"},
    "spec": {"clusterRef": {"name": "orders"}, "name": "shop/orders", "config": {"retention.ms": "x"}}})");
  const auto topic = parse_topic(object);
  ASSERT_TRUE(topic.ok());
  EXPECT_EQ(topic->spec.cluster_ref.object.namespace_, "n");
  const auto errors = validate(*topic);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].field, "spec.name");
  EXPECT_EQ(errors[1].field, "spec.config[retention.ms]");
}

TEST(Api, NoUserMayBeNamedLikeTheMachinery) {
  EXPECT_TRUE(is_reserved_principal("User:CN=millrace-operator"));
  User user;
  user.spec.secret_name = "order-service";
  user.spec.username = "CN=millrace-operator";
  EXPECT_FALSE(validate(user).empty());
  user.spec.username = "ANONYMOUS";
  EXPECT_FALSE(validate(user).empty());
  user.spec.username = "order-service";
  EXPECT_TRUE(validate(user).empty());
}

TEST(Api, TheSecretOfAUserHasANameOfAnObject) {
  User user;
  user.spec.username = "order-service";
  for (const char* name : {"", "Orders", "../orders", "-a", "a."}) {
    user.spec.secret_name = name;
    const auto errors = validate(user);
    ASSERT_EQ(errors.size(), 1u) << name;
    EXPECT_EQ(errors.front().field, "spec.secret.name");
  }
}

TEST(Api, AclBindingsInStatusSurviveTheRoundTrip) {
  using namespace broker::security;
  AclStatus status;
  status.principal = "User:a";
  status.bindings = {
      {topic_resource("t"), "User:a", "*", AclOperation::kRead, AclPermission::kAllow}};
  json object = json::parse(R"({"kind": "ACL", "metadata": {"name": "a", "namespace": "n"},
    "spec": {"clusterRef": {"name": "orders"}, "userRef": {"name": "a"},
             "roles": [{"type": "Consumer", "topics": [{"name": "t"}], "group": {"name": "g"}}]}})");
  object["status"] = encode_status(status);
  const auto acl = parse_acl(object, Unknown::kRefused);
  ASSERT_TRUE(acl.ok()) << acl.error().detail;
  EXPECT_EQ(acl->status, status);
  EXPECT_TRUE(validate(*acl).empty()) << to_string(validate(*acl));
}

TEST(Api, ConditionKeepsItsTransitionTimeWhileTheStatusStays) {
  std::vector<Condition> conditions;
  set_condition(conditions, {"Ready", ConditionStatus::kFalse, "Applying", "", 1, {}}, "t1");
  set_condition(conditions, {"Ready", ConditionStatus::kFalse, "Unreachable", "", 1, {}}, "t2");
  EXPECT_EQ(conditions[0].last_transition_time, "t1");
  EXPECT_EQ(conditions[0].reason, "Unreachable");
  set_condition(conditions, {"Ready", ConditionStatus::kTrue, "Ready", "", 1, {}}, "t3");
  EXPECT_EQ(conditions[0].last_transition_time, "t3");
}

TEST(Api, QuantitiesAndDurations) {
  EXPECT_EQ(*parse_bytes("50Mi"), 50 << 20);
  EXPECT_EQ(*parse_bytes("1.5k"), 1500);
  EXPECT_FALSE(parse_bytes("5 apples").ok());
  EXPECT_FALSE(parse_bytes("").ok());
  EXPECT_EQ(parse_duration("1825d")->count(), 1825 * 86400);
  EXPECT_EQ(parse_duration("1h30m")->count(), 5400);
  EXPECT_FALSE(parse_duration("10").ok());
  EXPECT_FALSE(parse_duration("99999999999999d").ok());
}

TEST(Api, SelectorsMatchAsKubernetesSays) {
  LabelSelector selector;
  EXPECT_TRUE(selector.matches({}));
  selector.match_labels = {{"team", "shop"}};
  EXPECT_FALSE(selector.matches({}));
  EXPECT_TRUE(selector.matches({{"team", "shop"}, {"x", "y"}}));
  selector.match_expressions = {{"env", LabelSelector::Operator::kNotIn, {"prod"}}};
  EXPECT_TRUE(selector.matches({{"team", "shop"}}));
  EXPECT_FALSE(selector.matches({{"team", "shop"}, {"env", "prod"}}));
}

}  // namespace
}  // namespace op::api
