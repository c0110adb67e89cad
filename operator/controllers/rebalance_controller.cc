#include "operator/controllers/rebalance_controller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "broker/metadata/image.h"
#include "operator/api/json.h"
#include "operator/api/rebalance.h"
#include "operator/api/validate.h"
#include "operator/controllers/kafka_resource.h"
#include "operator/controllers/moves.h"
#include "operator/controllers/rebalance_document.h"
#include "operator/plan/rebalance.h"

namespace op::controllers {
namespace {

using reconcile::WorkKey;

/// A proposal is made from sizes of now; progress is looked at rarely, as it asks every broker.
constexpr std::chrono::seconds kFreshForProposal{20};
constexpr std::chrono::seconds kFreshForProgress{10};
constexpr std::chrono::seconds kLookAgain{1};

/// What the replicas that are being added have already.
plan::CopiedBytes copied_bytes(const kafka::LogSizes& sizes,
                               const broker::metadata::MetadataImage& image) {
  plan::CopiedBytes out;
  for (const auto& [name, replicas] : sizes.topics) {
    const auto* topic = image.topics.find(name);
    if (topic == nullptr) continue;
    for (const kafka::LogSizes::Replica& replica : replicas) {
      const auto* partition = topic->partitions.find(replica.partition);
      if (partition == nullptr) continue;
      const auto& adding = partition->adding_replicas;
      if (std::find(adding.begin(), adding.end(), broker::BrokerId{replica.broker}) != adding.end())
        out[{name, replica.partition}] += replica.bytes;
    }
  }
  return out;
}

/// An older one of the same cluster that moves partitions, or is about to.
std::optional<api::ObjectName> older_rebalance(const Context& context, const api::Rebalance& own) {
  for (const Claim& claim : context.index.claims(kube::kRebalance, own.spec.cluster_ref, "")) {
    if (claim.uid == own.metadata.uid) return std::nullopt;
    const auto object = context.store.get(kube::kRebalance, claim.key);
    if (!object) continue;
    const auto other = api::parse_rebalance(nlohmann::json::parse(object->json, nullptr, false));
    if (!other.ok() || other->metadata.is_paused()) continue;
    const auto state = other->status.state;
    if (state == api::RebalanceState::kRunning || state == api::RebalanceState::kStopping)
      return api::ObjectName{claim.key.ns, claim.key.name};
  }
  return std::nullopt;
}

void send(const Context& context, const WorkKey& key, const plan::RebalancePlan& plan,
          const Target& target) {
  Round& round = target.handle->rebalancing();
  const std::size_t operations = plan.moves.size() + plan.elections.size();
  if (!round.begin(operations, [&context, key] { context.enqueue(key); })) return;
  broker::log_info("controllers", "rebalancing",
                   {{"rebalance", to_string(key.object)},
                    {"moves", static_cast<std::int64_t>(plan.moves.size())},
                    {"elections", static_cast<std::int64_t>(plan.elections.size())}});
  send_moves(target.handle, *target.image, target.cluster->spec.rebalance.throttle_bytes_per_second,
             plan.moves, [&](const plan::Move& move) {
               return round.answer("moving " + move.topic + "-" + std::to_string(move.partition));
             });
  for (const auto& [topic, partition] : plan.elections)
    target.handle->admin().elect_preferred_leader(
        {topic, partition}, round.answer("electing the preferred leader of " + topic + "-" +
                                         std::to_string(partition)));
}

/// What the plan needs to know beside the resource and the image.
struct Gathered {
  std::optional<plan::RebalanceDocument> document;
  std::optional<plan::PartitionBytes> bytes;
  std::string bytes_problem;
  plan::CopiedBytes copied;
};

Gathered gather(const Context& context, const WorkKey& key, const api::Rebalance& rebalance,
                Target& target) {
  Gathered out;
  const auto kept = context.store.get(kube::kConfigMap, document_key(key.object));
  if (kept && !kept->deleting) out.document = decode_document(*kept);
  const bool running = rebalance.status.state == api::RebalanceState::kRunning;
  // Asked only where it is needed: nobody looks at the logs of a cluster at rest.
  if (!running && !plan::wants_new_proposal(rebalance)) return out;
  const auto max_age = running ? kFreshForProgress : kFreshForProposal;
  const auto ask = [&] {
    return target.handle->log_sizes(max_age, [&context, key] { context.enqueue(key); });
  };
  ClusterHandle::Sizes sizes = ask();
  if (!sizes.last && !sizes.is_fresh) sizes = ask();  // it may have been answered at once
  out.bytes_problem = sizes.problem;
  if (!sizes.last) return out;
  if (running) out.copied = copied_bytes(*sizes.last, *target.image);
  if (sizes.is_fresh) out.bytes = bytes_by_partition(*sizes.last);
  return out;
}

}  // namespace

Outcome RebalanceController::reconcile(const ObjectKey& object_key) {
  const WorkKey key{std::string(kind().kind), object_key};
  const auto object = context_.store.get(kind(), object_key);
  if (!object) return Outcome::done();
  const auto rebalance = api::parse_rebalance(nlohmann::json::parse(object->json, nullptr, false),
                                              context_.settings.unknown_fields);
  if (!rebalance.ok()) return report_unreadable(context_, *object, rebalance.error().detail);
  Target target = gather_target(context_, rebalance->spec.cluster_ref);
  if (auto outcome = settle_without_kafka(context_, *object, *rebalance, target)) return *outcome;

  const Gathered gathered = gather(context_, key, *rebalance, target);
  const plan::RebalanceInput input{.rebalance = *rebalance,
                                   .cluster = *target.cluster,
                                   .cluster_id = target.cluster_id,
                                   .acknowledged_cluster_id = target.acknowledged_cluster_id,
                                   .image = *target.image,
                                   .bytes = gathered.bytes ? &*gathered.bytes : nullptr,
                                   .bytes_problem = gathered.bytes_problem,
                                   .copied = gathered.copied,
                                   .document = gathered.document ? &*gathered.document : nullptr,
                                   .older = older_rebalance(context_, *rebalance),
                                   .round_problem = target.handle->rebalancing().problem(),
                                   .now = context_.timestamp()};
  const plan::RebalancePlan plan = plan::plan_rebalance(input);
  if (plan.document) {
    const auto kept = context_.writer.ensure(kube::kConfigMap, document_key(object_key),
                                             encode_document(*rebalance, *plan.document));
    if (!kept.ok()) return Outcome::failed(kept.error());
  }
  const auto recorded = record_plan(context_, *object, *rebalance, plan, false);
  if (!recorded.ok()) return Outcome::failed(recorded.error());
  send(context_, key, plan, target);
  // It takes the limits away when nobody moves anything any more.
  if (plan.status.state != rebalance->status.state)
    context_.enqueue(
        {std::string(api::Cluster::kKind),
         {rebalance->spec.cluster_ref.object.namespace_, rebalance->spec.cluster_ref.object.name}});
  const auto dropped = drop_finalizer(context_, *object, plan);
  if (!dropped.ok()) return Outcome::failed(dropped.error());
  return plan.look_again ? Outcome::again(kLookAgain) : Outcome::done();
}

}  // namespace op::controllers
