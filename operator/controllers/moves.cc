#include "operator/controllers/moves.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "operator/api/json.h"
#include "operator/api/rebalance.h"
#include "operator/plan/throttle.h"

namespace op::controllers {
namespace {

using reconcile::WorkKey;

kafka::ConfigAlteration alteration_of(const plan::ThrottleChange& change) {
  kafka::ConfigAlteration out;
  out.type = change.resource.type == broker::metadata::ConfigResourceType::kTopic
                 ? kafka::ConfigAlteration::Type::kTopic
                 : kafka::ConfigAlteration::Type::kBroker;
  out.name = change.resource.name;
  for (const auto& [key, value] : change.changes) out.changes.push_back({key, value});
  return out;
}

struct Planned {
  plan::Move move;
  AdminBatcher::Done done;
};

void ask(const ClusterHandlePtr& handle, const std::vector<Planned>& planned) {
  for (const Planned& one : planned) {
    const plan::Move& move = one.move;
    handle->admin().reassign(
        {move.topic, move.partition, move.replicas},
        [begun = handle->begun_moves(), move, done = one.done](const kafka::ItemResult& result) {
          if (result.code != broker::ErrorCode::kNone) begun->forget(move);
          done(result);
        });
  }
}

/// A Rebalance of the cluster has moves under way, or more to come.
bool is_rebalancing(const Context& context, const api::Cluster& cluster) {
  const api::ClusterRef ref{api::ClusterKind::kCluster, cluster.metadata.object_name()};
  for (const Claim& claim : context.index.claims(kube::kRebalance, ref, "")) {
    const auto object = context.store.get(kube::kRebalance, claim.key);
    if (!object) continue;
    const auto read = api::parse_rebalance(nlohmann::json::parse(object->json, nullptr, false));
    if (!read.ok()) continue;
    if (read->status.state == api::RebalanceState::kRunning && !read->metadata.is_paused())
      return true;
  }
  return false;
}

}  // namespace

void send_moves(const ClusterHandlePtr& handle, const broker::metadata::MetadataImage& image,
                std::optional<std::int64_t> throttle, const std::vector<plan::Move>& moves,
                const std::function<AdminBatcher::Done(const plan::Move&)>& answer) {
  auto planned = std::make_shared<std::vector<Planned>>();
  for (const plan::Move& move : moves) planned->push_back({move, answer(move)});
  handle->begun_moves()->add(moves);
  const auto limits =
      throttle ? plan::throttle_for(image, *throttle, moves) : std::vector<plan::ThrottleChange>();
  if (limits.empty()) return ask(handle, *planned);
  struct Limits {
    std::mutex mutex;
    std::size_t open = 0;
    std::optional<kafka::ItemResult> refusal;
  };
  const auto state = std::make_shared<Limits>();
  state->open = limits.size();
  for (const plan::ThrottleChange& change : limits) {
    handle->admin().alter_configs(
        alteration_of(change), [handle, planned, state](const kafka::ItemResult& result) {
          {
            const std::lock_guard lock(state->mutex);
            if (result.code != broker::ErrorCode::kNone && !state->refusal) state->refusal = result;
            if (--state->open > 0) return;
          }
          if (!state->refusal) return ask(handle, *planned);
          for (const Planned& one : *planned) {
            handle->begun_moves()->forget(one.move);
            one.done(*state->refusal);
          }
        });
  }
}

plan::PartitionBytes bytes_by_partition(const kafka::LogSizes& sizes) {
  plan::PartitionBytes out;
  for (const auto& [topic, replicas] : sizes.topics) {
    auto& bytes = out[topic];
    for (const kafka::LogSizes::Replica& replica : replicas) {
      const auto at = static_cast<std::size_t>(std::max(replica.partition, 0));
      if (bytes.size() <= at) bytes.resize(at + 1);
      bytes[at] = std::max(bytes[at], replica.bytes);
    }
  }
  return out;
}

bool apply_throttle(const Context& context, const api::Cluster& cluster,
                    const api::ClusterStatus& status, const broker::metadata::MetadataImage& image,
                    ClusterHandle& handle) {
  if (!status.throttle_bytes_per_second) return false;
  const bool pending = handle.begun_moves()->pending(image);
  const bool busy = pending || status.scale.has_value() || is_rebalancing(context, cluster);
  const auto changes =
      plan::plan_throttle(image, cluster.spec.rebalance.throttle_bytes_per_second, busy);
  const WorkKey key{std::string(api::Cluster::kKind),
                    {cluster.metadata.namespace_, cluster.metadata.name}};
  Round& round = handle.limiting();
  if (!round.begin(changes.size(), [&context, key] { context.enqueue(key); }))
    return pending || !changes.empty();
  broker::log_info("controllers", "limits of replication changed",
                   {{"cluster", cluster.metadata.name},
                    {"resources", static_cast<std::int64_t>(changes.size())}});
  for (const plan::ThrottleChange& change : changes)
    handle.admin().alter_configs(
        alteration_of(change),
        round.answer("limiting the replication of " + (change.resource.name.empty()
                                                           ? std::string("all brokers")
                                                           : change.resource.name)));
  return true;
}

}  // namespace op::controllers
