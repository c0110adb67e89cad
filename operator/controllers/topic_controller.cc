#include "operator/controllers/topic_controller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "operator/api/json.h"
#include "operator/api/topic.h"
#include "operator/api/validate.h"
#include "operator/controllers/kafka_resource.h"
#include "operator/controllers/moves.h"
#include "operator/plan/throttle.h"
#include "operator/plan/topic_plan.h"

namespace op::controllers {
namespace {

using reconcile::WorkKey;

std::optional<api::ObjectName> older_claim(const Context& context, const api::Topic& topic) {
  const auto claims = context.index.claims(kube::kTopic, topic.spec.cluster_ref, topic.spec.name);
  for (const Claim& claim : claims) {
    if (claim.uid == topic.metadata.uid) return std::nullopt;
    if (!claim.deleting) return api::ObjectName{claim.key.ns, claim.key.name};
  }
  return std::nullopt;
}

struct Apply {
  const Target& target;
  AdminBatcher& admin;
  AdminBatcher::Done done;

  void operator()(const plan::CreateTopic& action) const {
    admin.create_topic({action.name, action.partitions, action.replication_factor, action.configs},
                       done);
  }
  void operator()(const plan::CreatePartitions& action) const {
    admin.create_partitions({action.name, action.total_count}, done);
  }
  void operator()(const plan::AlterTopicConfigs& action) const {
    kafka::ConfigAlteration alteration;
    alteration.name = action.name;
    for (const auto& [key, value] : action.changes) alteration.changes.push_back({key, value});
    admin.alter_configs(std::move(alteration), done);
  }
  /// One answer for all: the first refusal, else the last.
  void operator()(const plan::MoveReplicas& action) const {
    struct Answers {
      std::size_t open;
      std::optional<kafka::ItemResult> refusal;
    };
    const auto answers = std::make_shared<Answers>(Answers{action.moves.size(), {}});
    std::optional<std::int64_t> throttle;
    if (target.cluster) throttle = target.cluster->spec.rebalance.throttle_bytes_per_second;
    send_moves(target.handle, *target.image, throttle, action.moves, [&](const plan::Move&) {
      return [answers, done = done](const kafka::ItemResult& result) {
        if (result.code != broker::ErrorCode::kNone && !answers->refusal) answers->refusal = result;
        if (--answers->open == 0) done(answers->refusal.value_or(result));
      };
    });
  }
  void operator()(const plan::DeleteTopic& action) const { admin.delete_topic(action.name, done); }
};

/// The status of a Cluster is no news to its topics.
constexpr std::chrono::seconds kLookForThrottle{1};

Outcome apply_plan(const Context& context, const kube::Object& object, const WorkKey& key,
                   const plan::TopicPlan& plan, Target& target) {
  if (plan.actions.empty()) {
    context.operations.settle(key);
    const auto dropped = drop_finalizer(context, object, plan);
    return dropped.ok() ? Outcome::done() : Outcome::failed(dropped.error());
  }
  if (auto wait = wait_for_operations(context, key, object.generation)) return *wait;
  const bool moves = std::any_of(plan.actions.begin(), plan.actions.end(), [](const auto& action) {
    return std::holds_alternative<plan::MoveReplicas>(action);
  });
  if (moves && target.cluster && !plan::throttle_is_recorded(*target.cluster))
    return Outcome::again(kLookForThrottle);
  announce(context, object, plan);
  std::vector<AdminBatcher::Done> dones;  // all begun before the first answer can come
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    dones.push_back(context.operations.begin(key, object.generation));
  }
  for (std::size_t i = 0; i < plan.actions.size(); ++i) {
    std::visit(Apply{target, target.handle->admin(), dones[i]}, plan.actions[i]);
  }
  return Outcome::done();
}

constexpr std::chrono::seconds kFreshForTopics{10};

/// Brokers that register are told to the Cluster, not to every one of its topics.
constexpr std::chrono::seconds kLookForBrokers{1};

bool waits_for_brokers(const api::Topic& topic, const broker::metadata::MetadataImage& image) {
  if (!topic.spec.replication_factor) return false;
  std::int32_t alive = 0;
  for (const auto& [id, registration] : image.cluster.brokers) alive += registration.fenced ? 0 : 1;
  return *topic.spec.replication_factor > alive && image.topics.find(topic.spec.name) == nullptr;
}

}  // namespace

Outcome TopicController::reconcile(const ObjectKey& object_key) {
  const WorkKey key{std::string(kind().kind), object_key};
  const auto object = context_.store.get(kind(), object_key);
  if (!object) {
    context_.operations.settle(key);
    return Outcome::done();
  }
  const auto topic = api::parse_topic(nlohmann::json::parse(object->json, nullptr, false),
                                      context_.settings.unknown_fields);
  if (!topic.ok()) return report_unreadable(context_, *object, topic.error().detail);

  Target target = gather_target(context_, topic->spec.cluster_ref);
  if (auto outcome = settle_without_kafka(context_, *object, *topic, target)) return *outcome;

  // Sizes are asked for only while replicas are added, to show how far that is.
  std::optional<plan::PartitionBytes> bytes;
  if (topic->status.progress) {
    const auto sizes =
        target.handle->log_sizes(kFreshForTopics, [this, key] { context_.enqueue(key); });
    if (sizes.last) bytes = bytes_by_partition(*sizes.last);
  }
  const plan::TopicInput input{
      .topic = *topic,
      .cluster_id = target.cluster_id,
      .image = *target.image,
      .acknowledged_cluster_id = target.acknowledged_cluster_id,
      .not_admitted = plan::admit_topic(target.tenancy(context_, object_key.ns), topic->spec.name),
      .older = older_claim(context_, *topic),
      .bytes = bytes ? &*bytes : nullptr,
      .now = context_.timestamp()};
  const plan::TopicPlan plan =
      plan_with_refusal(context_, key, object->generation, input, &plan::plan_topic,
                        [](const plan::TopicPlan& p) { return p.actions.empty(); });
  const auto recorded = record_plan(context_, *object, *topic, plan, !plan.actions.empty());
  if (!recorded.ok()) return Outcome::failed(recorded.error());
  Outcome outcome = apply_plan(context_, *object, key, plan, target);
  if (!outcome.error && !outcome.again_after && waits_for_brokers(*topic, *target.image)) {
    outcome.again_after = kLookForBrokers;
  }
  return outcome;
}

}  // namespace op::controllers
