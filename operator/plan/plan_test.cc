#include <gtest/gtest.h>

#include "operator/model/names.h"
#include "operator/plan/acl_plan.h"
#include "operator/plan/admission.h"
#include "operator/plan/cluster_plan.h"
#include "operator/plan/topic_plan.h"
#include "operator/plan/user_plan.h"

namespace op::plan {
namespace {

using namespace broker::security;
using namespace std::chrono_literals;
using broker::BrokerId;
using broker::Uuid;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::MetadataImage;

constexpr const char* kClusterId = "cluster-one";
constexpr const char* kNow = "2026-01-01T00:00:00Z";

MetadataImage one_broker() {
  MetadataImage image;
  image.cluster.brokers.set(BrokerId{0}, {.id = BrokerId{0}, .fenced = false});
  return image;
}

void add_topic(MetadataImage& image, const std::string& name, std::int32_t partitions,
               broker::config::ConfigMap configs = {}) {
  broker::metadata::TopicImage topic{name, Uuid{7, 7}, {}};
  for (std::int32_t i = 0; i < partitions; ++i)
    topic.partitions.set(i, {.replicas = {BrokerId{0}}, .isr = {BrokerId{0}}});
  image.topics.by_id.set(topic.id, topic);
  image.topics.ids.set(name, topic.id);
  if (!configs.empty())
    image.configs.by_resource.set({ConfigResourceType::kTopic, name}, std::move(configs));
}

api::Topic make_topic() {
  api::Topic topic;
  topic.metadata.name = "shop-orders";
  topic.metadata.namespace_ = "kafka";
  topic.metadata.generation = 1;
  topic.spec.cluster_ref.object = {"kafka", "orders"};
  topic.spec.name = "shop.orders";
  topic.spec.partitions = 12;
  topic.spec.config = {{"cleanup.policy", "compact"}};
  return topic;
}

TopicPlan plan(const api::Topic& topic, const MetadataImage& image) {
  return plan_topic({.topic = topic, .cluster_id = kClusterId, .image = image, .now = kNow});
}

std::string reason_of(const std::vector<api::Condition>& conditions) {
  const auto* ready = api::find_condition(conditions, "Ready");
  return ready ? ready->reason : "";
}

TEST(TopicPlan, CreatesWhatIsNotThere) {
  const TopicPlan out = plan(make_topic(), one_broker());
  ASSERT_EQ(out.actions.size(), 1u);
  EXPECT_EQ(std::get<CreateTopic>(out.actions[0]),
            (CreateTopic{"shop.orders", 12, -1, {{"cleanup.policy", "compact"}}}));
  EXPECT_EQ(reason_of(out.status.conditions), "Applying");
  EXPECT_FALSE(out.wants_finalizer);
}

TEST(TopicPlan, ConvergedTopicPlansNothing) {
  MetadataImage image = one_broker();
  add_topic(image, "shop.orders", 12, {{"cleanup.policy", "compact"}, {"foreign.key", "kept"}});
  api::Topic topic = make_topic();
  topic.status = plan(topic, image).status;
  EXPECT_TRUE(is_ready(topic.status.conditions));
  const TopicPlan again = plan(topic, image);
  EXPECT_TRUE(again.actions.empty());
  EXPECT_EQ(again.status, topic.status);
  EXPECT_FALSE(again.event.has_value());
}

TEST(TopicPlan, RepairsDriftWithoutLosingReadiness) {
  MetadataImage image = one_broker();
  add_topic(image, "shop.orders", 12, {{"cleanup.policy", "compact"}});
  api::Topic topic = make_topic();
  topic.status = plan(topic, image).status;
  MetadataImage drifted = one_broker();
  add_topic(drifted, "shop.orders", 12, {{"cleanup.policy", "delete"}});
  const TopicPlan out = plan(topic, drifted);
  EXPECT_EQ(std::get<AlterTopicConfigs>(out.actions.at(0)).changes.size(), 1u);
  EXPECT_EQ(out.status, topic.status);
  EXPECT_TRUE(out.event.has_value());
}

TEST(TopicPlan, ResetsOnlyKeysOnceOwned) {
  MetadataImage image = one_broker();
  add_topic(image, "shop.orders", 12, {{"cleanup.policy", "compact"}, {"retention.ms", "5"}});
  api::Topic topic = make_topic();
  topic.spec.config.clear();
  topic.status.owned_keys = {"cleanup.policy"};
  const TopicPlan out = plan(topic, image);
  EXPECT_EQ(std::get<AlterTopicConfigs>(out.actions.at(0)),
            (AlterTopicConfigs{"shop.orders", {{"cleanup.policy", std::nullopt}}}));
  EXPECT_EQ(out.status.owned_keys, std::vector<std::string>{"cleanup.policy"});
}

TEST(TopicPlan, PartitionsGrowAndNeverShrink) {
  MetadataImage image = one_broker();
  add_topic(image, "shop.orders", 6, {{"cleanup.policy", "compact"}});
  EXPECT_EQ(std::get<CreatePartitions>(plan(make_topic(), image).actions.at(0)),
            (CreatePartitions{"shop.orders", 12}));
  MetadataImage larger = one_broker();
  add_topic(larger, "shop.orders", 24, {{"cleanup.policy", "compact"}});
  const TopicPlan out = plan(make_topic(), larger);
  EXPECT_TRUE(out.actions.empty());
  EXPECT_EQ(reason_of(out.status.conditions), "PartitionsCannotShrink");
}

TEST(TopicPlan, ReportsATopicDeletedOutsideUnlessToldToRecreate) {
  api::Topic topic = make_topic();
  topic.status.cluster_id = kClusterId;
  topic.status.topic_id = "AAAA";
  EXPECT_TRUE(plan(topic, one_broker()).actions.empty());
  EXPECT_EQ(reason_of(plan(topic, one_broker()).status.conditions), "DeletedOutside");
  topic.spec.on_missing = api::MissingPolicy::kRecreate;
  EXPECT_EQ(plan(topic, one_broker()).actions.size(), 1u);
}

TEST(TopicPlan, NeverFillsAnotherClusterBeforeItIsAcknowledged) {
  api::Topic topic = make_topic();
  topic.status.cluster_id = "cluster-zero";
  topic.status.topic_id = "AAAA";
  EXPECT_TRUE(plan(topic, one_broker()).actions.empty());
  EXPECT_EQ(reason_of(plan(topic, one_broker()).status.conditions), "ClusterIdChanged");
  topic.metadata.annotations[std::string(api::kAcknowledgeAnnotation)] = kClusterId;
  EXPECT_EQ(plan(topic, one_broker()).actions.size(), 1u);
}

TEST(TopicPlan, DeletesOnlyTheTopicItKnowsById) {
  MetadataImage image = one_broker();
  add_topic(image, "shop.orders", 12);
  api::Topic topic = make_topic();
  topic.spec.on_delete = api::DeletePolicy::kDelete;
  topic.metadata.deletion_timestamp = kNow;
  topic.metadata.finalizers = {std::string(api::kFinalizer)};
  topic.status = {.cluster_id = kClusterId, .topic_name = "shop.orders"};
  topic.status.topic_id = Uuid{7, 7}.to_string();
  EXPECT_EQ(plan(topic, image).actions.size(), 1u);
  EXPECT_TRUE(plan(topic, image).wants_finalizer);
  topic.status.topic_id = Uuid{8, 8}.to_string();
  EXPECT_TRUE(plan(topic, image).actions.empty());
  EXPECT_FALSE(plan(topic, image).wants_finalizer);
  topic.status.topic_id = Uuid{7, 7}.to_string();
  EXPECT_FALSE(plan(topic, one_broker()).wants_finalizer);
}

TEST(TopicPlan, YoungerOfTwoSaysConflictAndPausedSaysNothing) {
  const MetadataImage image = one_broker();
  api::Topic topic = make_topic();
  const TopicPlan out = plan_topic({.topic = topic,
                                    .cluster_id = kClusterId,
                                    .image = image,
                                    .older = api::ObjectName{"kafka", "first"},
                                    .now = kNow});
  EXPECT_TRUE(out.actions.empty());
  EXPECT_EQ(reason_of(out.status.conditions), "Conflict");
  topic.metadata.annotations[std::string(api::kPausedAnnotation)] = "true";
  EXPECT_TRUE(plan(topic, image).actions.empty());
  EXPECT_EQ(plan(topic, image).status, topic.status);
}

api::Acl make_acl() {
  api::Acl acl;
  acl.metadata.generation = 1;
  acl.spec.user_ref = "order-service";
  acl.spec.roles = {{.type = api::AclRoleType::kConsumer,
                     .topics = {{"shop.orders"}},
                     .group = api::NamePattern{"order-service"}}};
  return acl;
}

void add_bindings(MetadataImage& image, const std::vector<AclBinding>& bindings) {
  for (const AclBinding& binding : bindings)
    image.acls.by_id.set(Uuid{1, image.acls.by_id.size()}, binding);
}

AclPlan plan(const api::Acl& acl, const MetadataImage& image,
             const std::set<AclBinding>& others = {}) {
  return plan_acl({.acl = acl,
                   .principal = "User:order-service",
                   .cluster_id = kClusterId,
                   .image = image,
                   .granted_by_others = others,
                   .now = kNow});
}

TEST(AclPlan, RolesExpandToTheRulesThatClientsNeed) {
  const auto rules = expand_acl(make_acl().spec, "User:a");
  EXPECT_EQ(rules.size(), 4u);
  const AclBinding read{topic_resource("shop.orders"), "User:a", "*", AclOperation::kRead,
                        AclPermission::kAllow};
  EXPECT_EQ(std::count(rules.begin(), rules.end(), read), 1);
}

TEST(AclPlan, ConvergedAclPlansNothing) {
  api::Acl acl = make_acl();
  const AclPlan first = plan(acl, one_broker());
  EXPECT_EQ(first.create.size(), 4u);
  EXPECT_TRUE(first.wants_finalizer);
  MetadataImage image = one_broker();
  add_bindings(image, first.create);
  acl.status = first.status;
  const AclPlan second = plan(acl, image);
  EXPECT_TRUE(second.create.empty() && second.remove.empty());
  EXPECT_TRUE(is_ready(second.status.conditions));
  acl.status = second.status;
  EXPECT_EQ(plan(acl, image).status, acl.status);
}

TEST(AclPlan, RemovesWhatItOwnsButNotWhatOthersStillGrant) {
  api::Acl acl = make_acl();
  MetadataImage image = one_broker();
  const AclPlan first = plan(acl, image);
  add_bindings(image, first.create);
  acl.status = first.status;
  acl.spec.roles[0].topics[0].name = "shop.returns";
  EXPECT_EQ(plan(acl, image).remove.size(), 2u);
  EXPECT_EQ(plan(acl, image).create.size(), 2u);
  EXPECT_EQ(plan(acl, image, {first.create.begin(), first.create.end()}).remove.size(), 0u);
  EXPECT_EQ(plan(acl, image).status.bindings.size(), 6u);  // owned until they are gone
}

TEST(AclPlan, ReleasesItsFinalizerWhenItsRulesAreGone) {
  api::Acl acl = make_acl();
  MetadataImage image = one_broker();
  const AclPlan first = plan(acl, image);
  add_bindings(image, first.create);
  acl.status = first.status;
  acl.metadata.finalizers = {std::string(api::kFinalizer)};
  acl.metadata.deletion_timestamp = kNow;
  EXPECT_EQ(plan(acl, image).remove.size(), 4u);
  EXPECT_TRUE(plan(acl, image).wants_finalizer);
  EXPECT_FALSE(plan(acl, one_broker()).wants_finalizer);
}

api::User make_user() {
  api::User user;
  user.metadata.name = user.spec.username = user.spec.secret_name = "order-service";
  user.metadata.generation = 1;
  return user;
}

UserPlan plan(const api::User& user, const MetadataImage& image) {
  return plan_user(
      {.user = user, .cluster_id = kClusterId, .image = image, .password = "secret", .now = kNow});
}

TEST(UserPlan, ConvergedUserPlansNothingAndAnotherPasswordIsWritten) {
  api::User user = make_user();
  EXPECT_EQ(plan(user, one_broker()).upserts.size(), 1u);
  MetadataImage image = one_broker();
  image.scram.credentials.set({"order-service", ScramMechanism::kSha512},
                              *make_scram_credential("secret", ScramMechanism::kSha512));
  const UserPlan converged = plan(user, image);
  EXPECT_TRUE(converged.upserts.empty() && converged.removals.empty());
  EXPECT_TRUE(is_ready(converged.status.conditions));
  EXPECT_TRUE(converged.wants_secret);
  image.scram.credentials.set({"order-service", ScramMechanism::kSha512},
                              *make_scram_credential("other", ScramMechanism::kSha512));
  EXPECT_EQ(plan(user, image).upserts.size(), 1u);
}

TEST(UserPlan, RemovesTheCredentialOfTheMechanismItLeft) {
  api::User user = make_user();
  MetadataImage image = one_broker();
  image.scram.credentials.set({"order-service", ScramMechanism::kSha512},
                              *make_scram_credential("secret", ScramMechanism::kSha512));
  user.status = plan(user, image).status;
  EXPECT_EQ(user.status.mechanism, "SCRAM-SHA-512");
  user.spec.authentication.type = api::UserAuth::kMtls;
  const UserPlan out = plan(user, image);
  EXPECT_EQ(out.removals, (std::vector<ScramRemoval>{{"order-service", ScramMechanism::kSha512}}));
  EXPECT_EQ(out.status.mechanism, "SCRAM-SHA-512");
  EXPECT_EQ(plan(user, one_broker()).status.mechanism, "");
}

TEST(Admission, ForeignNamespacesKeepToTheirPrefixes) {
  const std::vector<api::TenantSpec> tenants{{{{{"team", "shop"}}, {}}, {"shop."}}};
  TenancyInput in{"kafka", tenants, {"User:admin"}, "kafka", {}};
  EXPECT_EQ(admit_topic(in, "anything"), std::nullopt);
  EXPECT_EQ(admit_user(in, "admin", false), std::nullopt);
  in.object_namespace = "web";
  EXPECT_EQ(admit_topic(in, "shop.orders")->reason, "NotAdmitted");
  in.namespace_labels = {{"team", "shop"}};
  EXPECT_EQ(admit_topic(in, "shop.orders"), std::nullopt);
  EXPECT_NE(admit_topic(in, "billing"), std::nullopt);
  EXPECT_NE(admit_user(in, "admin", false), std::nullopt);
  EXPECT_EQ(admit_user(in, "shop.web", false), std::nullopt);
  EXPECT_NE(admit_user(in, "shop.web", true), std::nullopt);
}

TEST(Admission, ASuperUsersNameIsRefusedEvenWithinThePrefixes) {
  const std::vector<api::TenantSpec> tenants{{{}, {"*"}}};
  TenancyInput in{"kafka", tenants, {"User:admin"}, "web", {}};
  EXPECT_NE(admit_user(in, "admin", false), std::nullopt);
  EXPECT_NE(admit_bindings(in, {{topic_resource("t"), "User:admin"}}), std::nullopt);
  EXPECT_NE(admit_bindings(in, {{topic_resource("t"), "User:*"}}), std::nullopt);
  EXPECT_NE(admit_bindings(in, {{cluster_resource(), "User:a"}}), std::nullopt);
  EXPECT_EQ(admit_bindings(in, {{topic_resource("t"), "User:a"}}), std::nullopt);
}

TEST(Admission, ANameIsTakenByCredentialsAndByRulesOfOthers) {
  MetadataImage image = one_broker();
  EXPECT_FALSE(principal_is_taken(image, "a", {}));
  const AclBinding rule{topic_resource("t"), "User:a", "*", AclOperation::kRead,
                        AclPermission::kAllow};
  add_bindings(image, {rule});
  EXPECT_TRUE(principal_is_taken(image, "a", {}));
  EXPECT_FALSE(principal_is_taken(image, "a", {rule}));
  image.scram.credentials.set({"a", ScramMechanism::kSha256}, {});
  EXPECT_TRUE(principal_is_taken(image, "a", {rule}));
}

api::Cluster make_cluster() {
  api::Cluster cluster;
  cluster.metadata.name = "orders";
  cluster.metadata.namespace_ = "kafka";
  cluster.metadata.generation = 2;
  api::PoolSpec pool;
  pool.name = "main";
  pool.roles = {api::Role::kController, api::Role::kBroker};
  pool.storage.volumes = {{"data", "1Gi", {}}};
  cluster.spec.version = "1.0";
  cluster.spec.pools = {pool};
  cluster.spec.listeners = {api::default_listener()};
  cluster.status.cluster_id = kClusterId;
  return cluster;
}

ClusterInput running(const api::Cluster& cluster, const MetadataImage& image) {
  ClusterInput in{.cluster = cluster};
  in.pods = {
      {.node_id = 0, .name = "orders-main-0", .uid = "u", .ready = true, .declared_digest = "d"}};
  in.declared_digests = {{"main", "d"}};
  in.image = &image;
  in.synced = true;
  in.observed_cluster_id = kClusterId;
  in.now = kNow;
  return in;
}

bool holds(const api::ClusterStatus& status, std::string_view type) {
  const auto* condition = api::find_condition(status.conditions, type);
  return condition && condition->status == api::ConditionStatus::kTrue;
}

/// Three brokers, and the topic on the first of them.
MetadataImage three_brokers(const std::string& topic_name, int partitions) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 3; ++id) {
    broker::metadata::BrokerRegistration broker;
    broker.id = broker::BrokerId{id};
    broker.fenced = false;
    image.cluster.brokers.set(broker.id, broker);
  }
  broker::metadata::TopicImage topic;
  topic.name = topic_name;
  topic.id = broker::Uuid{5, 5};
  for (int i = 0; i < partitions; ++i) {
    topic.partitions.set(i, {.replicas = {broker::BrokerId{0}},
                             .isr = {broker::BrokerId{0}},
                             .leader = broker::BrokerId{0}});
  }
  image.topics.by_id.set(topic.id, topic);
  image.topics.ids.set(topic.name, topic.id);
  return image;
}

TEST(TopicPlan, AnotherReplicationFactorIsAReassignment) {
  api::Topic topic = make_topic();
  MetadataImage image = three_brokers(topic.spec.name, 2);
  topic.spec.partitions.reset();
  topic.spec.config.clear();
  topic.spec.replication_factor = 3;
  TopicInput in{.topic = topic, .cluster_id = "c", .image = image, .now = kNow};
  TopicPlan plan = plan_topic(in);
  ASSERT_EQ(plan.actions.size(), 1u);
  const auto& moves = std::get<MoveReplicas>(plan.actions[0]).moves;
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[1].replicas->size(), 3u);
  EXPECT_EQ(moves[1].replicas->front(), 0);
  EXPECT_EQ(reason_of(plan.status.conditions), "Applying");
  // Under way: told, and not asked for again.
  auto moving = *image.topics.find(topic.spec.name);
  auto partition = *moving.partitions.find(0);
  partition.adding_replicas = {broker::BrokerId{1}, broker::BrokerId{2}};
  for (const broker::BrokerId id : partition.adding_replicas) partition.replicas.push_back(id);
  moving.partitions.set(0, partition);
  moving.partitions.set(1, {.replicas = partition.replicas, .isr = partition.replicas});
  image.topics.by_id.set(moving.id, moving);
  plan = plan_topic(in);
  EXPECT_TRUE(plan.actions.empty());
  const auto* ready = api::find_condition(plan.status.conditions, api::condition::kReady);
  EXPECT_EQ(ready->message, "changing to 3 replicas: 1 of 2 partitions done");
  EXPECT_EQ(plan.status.replication_factor, 3);
  topic.spec.replication_factor = 4;
  EXPECT_EQ(reason_of(plan_topic(in).status.conditions), "Invalid");
}

TEST(ClusterPlan, ReadyOnlyWhenEverythingIsAndThenStable) {
  const MetadataImage image = one_broker();
  api::Cluster cluster = make_cluster();
  const auto status = plan_cluster_status(running(cluster, image));
  EXPECT_TRUE(holds(status, "Ready"));
  EXPECT_FALSE(holds(status, "Reconciling") || holds(status, "Stalled") ||
               holds(status, "Degraded"));
  EXPECT_TRUE(status.formatted);
  EXPECT_EQ(status.bootstrap, "orders-bootstrap.kafka.svc:9093");
  cluster.status = status;
  EXPECT_EQ(plan_cluster_status(running(cluster, image)), status);
  const MetadataImage nobody;
  EXPECT_FALSE(holds(plan_cluster_status(running(cluster, nobody)), "Ready"));
}

TEST(ClusterPlan, SaysDegradedWhenABrokerThatWasThereIsNot) {
  const MetadataImage image = one_broker();
  api::Cluster cluster = make_cluster();
  cluster.status.formatted = true;
  ClusterInput in = running(cluster, image);
  in.pods[0].ready = false;
  const auto status = plan_cluster_status(in);
  EXPECT_TRUE(holds(status, "Degraded") && holds(status, "Reconciling"));
  EXPECT_EQ(reason_of(status.conditions), "BrokersNotReady");
}

TEST(ClusterPlan, RefusalStallsAndRestartsNobody) {
  const MetadataImage image = one_broker();
  const api::Cluster cluster = make_cluster();
  ClusterInput in = running(cluster, image);
  in.errors = {{api::reason::kNotSupportedYet, "spec.hibernate", "true"}};
  in.declared_digests = {{"main", "new"}};
  const auto status = plan_cluster_status(in);
  EXPECT_TRUE(holds(status, "Stalled"));
  EXPECT_EQ(reason_of(status.conditions), "NotSupportedYet");
  EXPECT_EQ(plan_roll(in).action, RollAction(Nothing{}));
}

TEST(ClusterPlan, AnotherClusterIdStallsAndIsNotTakenOver) {
  const MetadataImage image = one_broker();
  const api::Cluster cluster = make_cluster();
  ClusterInput in = running(cluster, image);
  in.observed_cluster_id = "somebody-else";
  const auto status = plan_cluster_status(in);
  EXPECT_EQ(reason_of(status.conditions), "ClusterIdChanged");
  EXPECT_EQ(status.cluster_id, kClusterId);
}

TEST(ClusterPlan, RestartsAnOutdatedPodOnceAndByItsUid) {
  const MetadataImage image = one_broker();
  const api::Cluster cluster = make_cluster();
  ClusterInput in = running(cluster, image);
  EXPECT_EQ(plan_roll(in).action, RollAction(Nothing{}));
  in.declared_digests = {{"main", "new"}};
  EXPECT_EQ(std::get<RestartBroker>(plan_roll(in).action).uid, "u");
  in.pods[0].deleting = true;
  EXPECT_TRUE(std::holds_alternative<WaitUntilReady>(plan_roll(in).action));
}

TEST(ClusterPlan, IssuesIdentityOnce) {
  api::Cluster cluster = make_cluster();
  cluster.status = {};
  const auto status = plan_identity(cluster, {"id", {"dir"}}, "image:1");
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->initial_controllers, (std::vector<api::InitialController>{{0, "dir", false}}));
  cluster.status = *status;
  EXPECT_EQ(plan_identity(cluster, {"other", {"other"}}, "image:1"), std::nullopt);
}

TEST(ClusterPlan, RuntimeConfigurationFollowsTheSpecAndForgetsOnlyItsOwn) {
  MetadataImage image = one_broker();
  image.configs.by_resource.set({ConfigResourceType::kBroker, ""},
                                {{"log.retention.ms", "1"}, {"message.max.bytes", "9"}});
  api::Cluster cluster = make_cluster();
  cluster.spec.config = {{"log.retention.ms", "2"}, {"auto.create.topics.enable", "true"}};
  cluster.status.owned_config = {"log.retention.ms"};
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;
  EXPECT_EQ(plan_dynamic_config(cluster, image), (Changes{{"log.retention.ms", "2"}}));
  EXPECT_EQ(plan_cluster_status(running(cluster, image)).owned_config,
            std::vector<std::string>{"log.retention.ms"});
  cluster.spec.config.clear();
  EXPECT_EQ(plan_dynamic_config(cluster, image), (Changes{{"log.retention.ms", std::nullopt}}));
}

TEST(ClusterPlan, ThePinnedMinimumOfInSyncReplicasIsSetAndNeverRemoved) {
  MetadataImage image = one_broker();
  image.features.levels.set("eligible.leader.replicas.version", 1);
  image.configs.by_resource.set({ConfigResourceType::kBroker, ""}, {{"min.insync.replicas", "1"}});
  api::Cluster cluster = make_cluster();
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;
  EXPECT_EQ(plan_dynamic_config(cluster, image), Changes{});
  cluster.spec.pools.front().replicas = 3;
  EXPECT_EQ(plan_dynamic_config(cluster, image), (Changes{{"min.insync.replicas", "2"}}));
  cluster.spec.config = {{"min.insync.replicas", "3"}};
  EXPECT_EQ(plan_dynamic_config(cluster, image), (Changes{{"min.insync.replicas", "3"}}));
  cluster.spec.config.clear();
  cluster.status.owned_config = {"min.insync.replicas"};
  EXPECT_EQ(plan_dynamic_config(cluster, image), (Changes{{"min.insync.replicas", "2"}}));
  EXPECT_TRUE(plan_cluster_status(running(cluster, image)).owned_config.empty());
}

}  // namespace
}  // namespace op::plan
