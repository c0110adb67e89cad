#include "operator/cli/cluster_status.h"

#include <gtest/gtest.h>

#include "operator/cli/access.h"
#include "operator/cli/roll_watch.h"

namespace op::cli {
namespace {

using api::ConditionStatus;
using broker::ErrorCode;

api::Condition condition(std::string_view type, bool value, std::string reason, std::string message,
                         std::string since = "2026-11-21T08:00:00Z") {
  return {std::string(type),
          value ? ConditionStatus::kTrue : ConditionStatus::kFalse,
          std::move(reason),
          std::move(message),
          1,
          std::move(since)};
}

api::Cluster orders() {
  api::Cluster cluster;
  cluster.metadata.name = "orders";
  cluster.metadata.namespace_ = "kafka";
  cluster.spec.pools = {
      {.name = "main", .roles = {api::Role::kController, api::Role::kBroker}, .replicas = 3}};
  api::ListenerSpec inside;
  inside.name = "inside";
  inside.tls.emplace();
  inside.authentication = {{api::ListenerAuth::kScramSha512, {}}};
  api::ListenerSpec tls = inside;
  tls.name = "tls";
  tls.expose.type = api::ExposeType::kNodePort;
  cluster.spec.listeners = {inside, tls};
  api::ClusterStatus& status = cluster.status;
  status.conditions = {condition("Ready", true, "Ready", "3 of 3 brokers ready"),
                       condition("Stalled", false, "AsExpected", ""),
                       condition("Degraded", false, "AsExpected", "")};
  status.cluster_id = "EhbY6RQHStKgl5Oe4xwmug";
  status.initial_controllers = {{0, "a", true}, {1, "b", true}, {2, "c", true}};
  status.image = "millrace/broker:1.0";
  status.version = "1.0";
  status.metadata_version = 30;
  status.brokers = status.ready_brokers = 3;
  status.quorum_leader = 1;
  status.listeners = {{"inside", "orders-bootstrap.kafka.svc:9092", "SASL_SSL"},
                      {"tls", "10.201.0.10:31000", "SASL_SSL"}};
  status.pools = {{"main", 3, 3, {0, 1, 2}}};
  return cluster;
}

TEST(ClusterStatus, AHealthyClusterSaysHowToConnect) {
  ClusterReport report;
  report.cluster = orders();
  report.topics = 1;
  report.users = 1;
  report.acls = 2;
  report.user_names = {"order-service"};
  EXPECT_EQ(render_report(report, {}),
            "Cluster       orders in namespace kafka\n"
            "State         Ready: 3 of 3 brokers ready\n"
            "Brokers       3 of 3 ready\n"
            "Controllers   0 1 2 (leader 1)\n"
            "Version       1.0, metadata version 4.3-IV0\n"
            "Image         millrace/broker:1.0\n"
            "Cluster id    EhbY6RQHStKgl5Oe4xwmug\n"
            "Resources     1 Topic, 1 User, 2 ACLs\n"
            "\n"
            "POOL   ROLES                NODES   READY\n"
            "main   controller, broker   0 1 2     3/3\n"
            "\n"
            "LISTENER   FOR                    BOOTSTRAP                         PROTOCOL   "
            "AUTHENTICATION\n"
            "inside     pods                   orders-bootstrap.kafka.svc:9092   SASL_SSL   "
            "SCRAM-SHA-512\n"
            "tls        outside, by NodePort   10.201.0.10:31000                 SASL_SSL   "
            "SCRAM-SHA-512\n"
            "A client needs the Secret of a User (order-service) and nothing else.\n");
}

TEST(ClusterStatus, TroubleIsShownOnceWithItsReason) {
  ClusterReport report;
  report.cluster = orders();
  report.cluster.status.conditions = {
      condition("Ready", false, "PodFailing", "pod orders-main-2: ImagePullBackOff"),
      condition("Stalled", false, "AsExpected", ""),
      condition("Degraded", true, "PodFailing", "pod orders-main-2: ImagePullBackOff")};
  report.warnings = warnings_of(report.cluster);
  ASSERT_EQ(report.warnings.size(), 1u);
  report.warnings.push_back({"Topic wide", "Invalid", "spec.partitions: wants a number from 1"});
  const std::string text = render_report(report, {});
  EXPECT_NE(text.find("State         Not ready: pod orders-main-2: ImagePullBackOff\n"),
            std::string::npos);
  EXPECT_NE(text.find("WARNING          REASON       MESSAGE\n"
                      "Cluster orders   PodFailing   pod orders-main-2: ImagePullBackOff\n"
                      "Topic wide       Invalid      spec.partitions: wants a number from 1\n"),
            std::string::npos);
}

TEST(ClusterStatus, ALongMessageWrapsInANarrowTerminal) {
  ClusterReport report;
  report.cluster = orders();
  report.warnings = {{"Cluster orders", "UnderReplicated",
                      "12 partitions with a replica that is not in sync, such as shop.orders-3"}};
  const std::string text = render_report(report, {.width = 80});
  EXPECT_NE(
      text.find("Cluster orders   UnderReplicated   12 partitions with a replica that is not in\n"
                "                                   sync, such as shop.orders-3\n"),
      std::string::npos)
      << text;
}

TEST(ClusterStatus, TopicsThatCannotBeWrittenDuringARollAreNamed) {
  api::Cluster cluster = orders();
  cluster.status.roll = api::RollStatus{.total = 3, .unsafe_topics = {"a", "b"}};
  const auto warnings = warnings_of(cluster);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].reason, "UnsafeTopics");
}

TEST(ChooseListener, FromOutsideItIsOneThatIsExposed) {
  EXPECT_EQ(*choose_listener(orders(), {"inside", "tls"}, false, ""), "tls");
  EXPECT_EQ(*choose_listener(orders(), {"inside", "tls"}, true, ""), "inside");
  EXPECT_EQ(*choose_listener(orders(), {"inside", "tls"}, false, "inside"), "inside");
}

TEST(ChooseListener, WhereNoneIsReachableItSaysHowToMakeOneSo) {
  const auto none = choose_listener(orders(), {"inside"}, false, "");
  EXPECT_EQ(none.code(), ErrorCode::kBrokerNotAvailable);
  EXPECT_NE(none.error().detail.find("no listener of Cluster kafka/orders can be reached from "
                                     "outside of Kubernetes (inside is for pods)"),
            std::string::npos);
  EXPECT_EQ(choose_listener(orders(), {"inside"}, false, "tls").code(),
            ErrorCode::kResourceNotFound);
  EXPECT_EQ(choose_listener(orders(), {}, true, "").code(), ErrorCode::kBrokerNotAvailable);
}

api::ClusterStatus rolling(std::int32_t done, std::string waiting) {
  api::ClusterStatus status = orders().status;
  status.conditions[0] = condition("Ready", false, "RestartRequired", "", "2026-11-21T08:00:05Z");
  status.roll = api::RollStatus{.total = 3, .done = done, .waiting_for = std::move(waiting)};
  return status;
}

TEST(RollWatch, FollowsARestartToItsEnd) {
  RollWatch watch(orders().status);
  watch.look(orders().status);
  EXPECT_EQ(watch.phase(), RollWatch::Phase::kNotBegun);
  watch.look(rolling(1, "broker 1 is not in sync yet"));
  EXPECT_EQ(watch.phase(), RollWatch::Phase::kRolling);
  EXPECT_EQ(watch.done(), 1);
  EXPECT_EQ(watch.total(), 3);
  EXPECT_EQ(watch.message(), "broker 1 is not in sync yet");
  watch.look(orders().status);
  EXPECT_EQ(watch.phase(), RollWatch::Phase::kDone);
  EXPECT_EQ(watch.done(), 3);
}

TEST(RollWatch, IsNotDoneBeforeTheClusterIsReady) {
  RollWatch watch(orders().status);
  watch.look(rolling(2, ""));
  api::ClusterStatus last = rolling(3, "");
  last.roll.reset();
  watch.look(last);
  EXPECT_EQ(watch.phase(), RollWatch::Phase::kRolling);
}

TEST(RollWatch, AShortOneBetweenTwoLooksCounts) {
  RollWatch watch(orders().status);
  api::ClusterStatus after = orders().status;
  after.conditions[0].last_transition_time = "2026-11-21T08:00:09Z";
  watch.look(after);
  EXPECT_EQ(watch.phase(), RollWatch::Phase::kDone);
}

TEST(RollWatch, SaysWhatItIsStuckOn) {
  RollWatch watch(orders().status);
  api::ClusterStatus status = rolling(0, "broker 0 is restarted");
  status.conditions[0] = condition("Ready", false, "PodFailing", "pod orders-main-0: OOMKilled");
  watch.look(status);
  EXPECT_TRUE(watch.is_stuck());
  EXPECT_EQ(watch.message(), "pod orders-main-0: OOMKilled");
}

}  // namespace
}  // namespace op::cli
