#include "operator/plan/cluster_plan.h"

#include <algorithm>

#include "broker/config/config_def.h"
#include "broker/metadata/features.h"
#include "operator/model/names.h"
#include "operator/plan/common.h"
#include "operator/plan/progress.h"
#include "operator/plan/throttle.h"

namespace op::plan {

using api::ConditionStatus;

namespace {

namespace reason = api::reason;

/// Things that only the user can change.
std::optional<Verdict> stalled(const ClusterInput& in) {
  if (!in.errors.empty()) return Verdict{in.errors.front().reason, api::to_string(in.errors)};
  if (auto changed = detail::cluster_id_changed(
          in.cluster.status.cluster_id,
          in.observed_cluster_id.empty() ? in.cluster.status.cluster_id : in.observed_cluster_id,
          {}, in.cluster.metadata))
    return changed;
  return in.scale.blocked;
}

std::string listed(const std::vector<std::int32_t>& ids) {
  std::string out;
  for (const std::int32_t id : ids) out += (out.empty() ? "" : ", ") + std::to_string(id);
  return out;
}

std::optional<Verdict> broker_is_missing(const ClusterInput& in) {
  if (!in.image || !in.synced)
    return Verdict{reason::kUnreachable,
                   in.problem.empty() ? "the metadata of the cluster is not read yet" : in.problem};
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    for (std::int32_t id : model::node_ids(pool)) {
      if (!in.image->cluster.is_alive(broker::BrokerId{id}))
        return Verdict{reason::kBrokersNotReady,
                       "broker " + std::to_string(id) + " is not registered or fenced"};
    }
  }
  return std::nullopt;
}

/// A pod that cannot run is what stops a roll.
std::optional<Verdict> rolling(const ClusterInput& in) {
  if (!in.roll) return std::nullopt;
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    for (std::int32_t id : model::node_ids(pool)) {
      auto problem = node_problem(in, id);
      if (problem && problem->reason != reason::kBrokersNotReady) return problem;
    }
  }
  if (!in.roll->window_opens.empty())
    return Verdict{reason::kMaintenanceWindow,
                   detail::counted(in.roll->total - in.roll->done, "pod") + " to be restarted; " +
                       in.roll->waiting_for};
  std::string message = std::to_string(in.roll->done) + " of " +
                        detail::counted(in.roll->total, "pod") + " restarted";
  if (!in.roll->waiting_for.empty()) message += "; " + in.roll->waiting_for;
  return Verdict{reason::kRestartRequired, std::move(message)};
}

/// Nodes that come or go.
std::optional<Verdict> scaling(const ClusterInput& in) {
  if (in.quorum) {
    const VoterAction action = next_voter_action(in.cluster, *in.quorum, leaving_voters(in));
    const auto is_scaling = [](const Verdict& why) { return why.reason == reason::kScaling; };
    if (const auto* wait = std::get_if<WaitForQuorum>(&action); wait && is_scaling(wait->why))
      return wait->why;
    if (const auto* add = std::get_if<AddVoter>(&action); add && is_scaling(add->why))
      return Verdict{reason::kScaling, add->why.message + " and becomes a voter"};
  }
  const auto& scale = in.scale.status;
  if (!scale) return std::nullopt;
  const bool drains = !scale->leaving.empty();
  std::string message = (drains ? "node " : "broker ") +
                        listed(drains ? scale->leaving : scale->joining) +
                        (drains ? " leaves" : " gets its share of replicas");
  if (scale->total > 0)
    message += ": " + std::to_string(scale->moved) + " of " +
               detail::counted(scale->total, "partition") + " moved";
  if (scale->total_bytes > 0)
    message += ", " + human_bytes(scale->moved_bytes) + " of " + human_bytes(scale->total_bytes);
  if (!scale->eta.empty()) message += ", about " + scale->eta + " left";
  if (!scale->waiting_for.empty()) message += "; " + scale->waiting_for;
  return Verdict{reason::kScaling, std::move(message)};
}

/// Why the cluster is not yet what was declared; the first that applies.
std::optional<Verdict> unfinished(const ClusterInput& in) {
  if (!in.apply_problem.empty()) return Verdict{reason::kApplying, in.apply_problem};
  if (auto verdict = rolling(in)) return verdict;
  for (const api::PoolSpec& pool : in.cluster.spec.pools)
    for (std::int32_t id : model::node_ids(pool))
      if (auto verdict = node_problem(in, id)) return verdict;
  for (const ObservedPod& pod : in.pods)
    if (const auto why = outdated(in, pod))
      return Verdict{reason::kRestartRequired, "pod " + pod.name + " " + *why};
  if (auto verdict = broker_is_missing(in)) return verdict;
  return scaling(in);
}

/// What is there, and not what is declared: this is how an operator knows tomorrow who leaves.
void fill_pools(const ClusterInput& in, api::ClusterStatus& status) {
  status.pools.clear();
  status.brokers = 0;
  status.ready_brokers = 0;
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    api::PoolStatus out{pool.name, 0, 0, {}};
    for (const std::int32_t id : model::node_ids(pool)) {
      if (in.scale.released.contains(id)) continue;
      out.node_ids.push_back(id);
      ++out.replicas;
      const ObservedPod* pod = find_pod(in, id);
      const bool is_ready = pod && pod->ready && !pod->deleting;
      out.ready += is_ready ? 1 : 0;
      if (!pool.has_role(api::Role::kBroker) || in.leaving.contains(id)) continue;
      ++status.brokers;
      status.ready_brokers += is_ready ? 1 : 0;
    }
    status.pools.push_back(std::move(out));
  }
}

void fill_listeners(const ClusterInput& in, api::ClusterStatus& status) {
  status.listeners.clear();
  for (const api::ListenerSpec& listener : in.cluster.spec.listeners)
    status.listeners.push_back({listener.name, model::bootstrap_servers(in.cluster, listener),
                                std::string(api::security_protocol(listener))});
  status.bootstrap = status.listeners.empty() ? "" : status.listeners.front().bootstrap;
}

bool applies_at_run_time(const std::string& key) {
  const broker::config::ConfigKey* known = broker::config::ConfigDef::broker().find(key);
  return known && known->update == broker::config::UpdateMode::kClusterWide;
}

const broker::config::ConfigMap& cluster_defaults(const broker::metadata::MetadataImage& image) {
  using broker::metadata::ConfigResource;
  using broker::metadata::ConfigResourceType;
  return image.configs.of(ConfigResource{ConfigResourceType::kBroker, ""});
}

constexpr char kMinInsync[] = "min.insync.replicas";

/// With eligible leader replicas (KIP-966) the metadata log pins the cluster's min.insync.replicas:
/// it is stronger there than in the file, and cannot be removed.
bool is_pinned(const broker::metadata::MetadataImage& image, const std::string& key) {
  return key == kMinInsync && image.features.level(broker::metadata::kElrVersionFeature) > 0;
}

/// Keys stay owned until the brokers have forgotten them.
void fill_owned_config(const ClusterInput& in, api::ClusterStatus& status) {
  std::vector<std::string> owned;
  for (const auto& [key, value] : in.cluster.spec.config)
    if (applies_at_run_time(key)) owned.push_back(key);
  for (const std::string& key : in.cluster.status.owned_config) {
    const bool is_gone = in.image && in.synced &&
                         (!cluster_defaults(*in.image).contains(key) || is_pinned(*in.image, key));
    if (!in.cluster.spec.config.contains(key) && !is_gone) owned.push_back(key);
  }
  std::sort(owned.begin(), owned.end());
  status.owned_config = std::move(owned);
}

const api::InitialController* find_controller(const api::ClusterStatus& status,
                                              std::int32_t node_id) {
  for (const api::InitialController& controller : status.initial_controllers)
    if (controller.node_id == node_id) return &controller;
  return nullptr;
}

/// A disk that was ready once and is empty now is a lost one.
void fill_formatted(const ClusterInput& in, api::ClusterStatus& status) {
  for (api::InitialController& controller : status.initial_controllers) {
    const ObservedPod* pod = find_pod(in, controller.node_id);
    if (pod && pod->ready) controller.formatted = true;
  }
  if (!in.quorum || !in.quorum_is_current || !status.formatted) return;
  // Voters that were added are known from now on: a lost disk of the first one is no lost cluster.
  for (const QuorumReplica& voter : in.quorum->voters) {
    const api::PoolSpec* pool = model::pool_of(in.cluster, voter.node_id);
    if (!pool || !pool->has_role(api::Role::kController) || in.leaving.contains(voter.node_id))
      continue;
    if (find_controller(status, voter.node_id) == nullptr)
      status.initial_controllers.push_back({voter.node_id, voter.directory_id.to_string(), true});
  }
  std::erase_if(status.initial_controllers, [&](const api::InitialController& controller) {
    return in.scale.released.contains(controller.node_id);
  });
}

/// It works, but with less than it should have.
std::optional<Verdict> degraded(const ClusterInput& in, const api::ClusterStatus& status) {
  if (!status.formatted) return in.certificate_problem;
  if (status.ready_brokers < status.brokers)
    return Verdict{reason::kBrokersNotReady, std::to_string(status.ready_brokers) + " of " +
                                                 detail::counted(status.brokers, "broker") +
                                                 " ready"};
  for (const api::PoolSpec& pool : in.cluster.spec.pools)
    for (const std::int32_t id : model::node_ids(pool))
      if (auto problem = node_problem(in, id)) return problem;
  if (in.quorum) {
    const VoterAction action = next_voter_action(in.cluster, *in.quorum, leaving_voters(in));
    const auto is_lost = [](const Verdict& why) { return why.reason == reason::kVoterLost; };
    const auto* wait = std::get_if<WaitForQuorum>(&action);
    if (wait && is_lost(wait->why)) return wait->why;
    const auto refused = [&](Verdict why) {
      if (!in.voter_problem.empty()) why.message += "; " + in.voter_problem;
      return why;
    };
    const auto* remove = std::get_if<RemoveVoter>(&action);
    if (remove && (is_lost(remove->why) || !in.voter_problem.empty())) return refused(remove->why);
    const auto* add = std::get_if<AddVoter>(&action);
    if (add && (is_lost(add->why) || !in.voter_problem.empty())) return refused(add->why);
  }
  const ReplicationHealth health = replication_health(in);
  if (health.under_replicated > 0)
    return Verdict{reason::kUnderReplicated, detail::counted(health.under_replicated, "partition") +
                                                 " with a replica that is not in sync, such as " +
                                                 health.example};
  return in.certificate_problem;
}

/// What limits the copying stays ours until no broker and no topic has it any more.
void fill_throttle(const ClusterInput& in, api::ClusterStatus& status) {
  const auto& declared = in.cluster.spec.rebalance.throttle_bytes_per_second;
  if (!in.errors.empty() || !status.formatted) return;
  if (declared) {
    status.throttle_bytes_per_second = declared;
  } else if (status.throttle_bytes_per_second && in.image && in.synced &&
             plan_throttle(*in.image, std::nullopt, false).empty()) {
    status.throttle_bytes_per_second.reset();
  }
}

struct Judgement {
  std::optional<Verdict> stalled;
  std::optional<Verdict> unfinished;
};

void fill_conditions(const ClusterInput& in, const Judgement& judgement,
                     api::ClusterStatus& status) {
  const std::int64_t generation = in.cluster.metadata.generation;
  const Verdict good{reason::kReady, std::to_string(status.ready_brokers) + " of " +
                                         detail::counted(status.brokers, "broker") + " ready"};
  const Verdict as_expected{reason::kAsExpected, ""};
  const auto set = [&](std::string_view type, bool value, const Verdict& verdict) {
    api::set_condition(status.conditions,
                       {std::string(type),
                        value ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                        std::string(verdict.reason),
                        verdict.message,
                        generation,
                        {}},
                       in.now);
  };
  const auto& obstacle = judgement.stalled ? judgement.stalled : judgement.unfinished;
  set(api::condition::kReady, !obstacle, obstacle.value_or(good));
  // Clients notice nothing of a CA that is replaced: the cluster is Ready all the time.
  const auto& going_on = judgement.unfinished ? judgement.unfinished : in.rotating;
  const bool reconciling = !judgement.stalled && going_on;
  set(api::condition::kReconciling, reconciling, reconciling ? *going_on : as_expected);
  set(api::condition::kStalled, judgement.stalled.has_value(),
      judgement.stalled.value_or(as_expected));
  const auto degradation = degraded(in, status);
  set(api::condition::kDegraded, degradation.has_value(), degradation.value_or(as_expected));
}

}  // namespace

LeavingVoters leaving_voters(const ClusterInput& in) { return {in.leaving, in.scale.drained}; }

const ObservedPod* find_pod(const ClusterInput& in, std::int32_t node_id) {
  for (const ObservedPod& pod : in.pods)
    if (pod.node_id == node_id) return &pod;
  return nullptr;
}

std::optional<std::string> outdated(const ClusterInput& in, const ObservedPod& pod) {
  const api::PoolSpec* pool = model::pool_of(in.cluster, pod.node_id);
  if (!pool) return std::nullopt;
  const auto wanted = in.declared_digests.find(pool->name);
  if (wanted != in.declared_digests.end() && wanted->second != pod.declared_digest)
    return "still runs what was declared before";
  // One that comes with every pod would restart it for ever.
  if (pod.restart_asked &&
      !pool->template_.annotations.contains(std::string(model::kRestartAnnotation)))
    return "is asked to be restarted";
  const auto* placement = model::placement_of(in.cluster, pod.node_id);
  const auto* broker = in.image ? in.image->cluster.broker(broker::BrokerId{pod.node_id}) : nullptr;
  if (!in.cluster.spec.rack_topology_key || !placement || !broker || !pod.ready ||
      placement->node != pod.node || !pool->has_role(api::Role::kBroker))
    return std::nullopt;
  const std::string registered = broker->rack.value_or("");
  if (registered == placement->rack) return std::nullopt;
  return "is in rack \"" + placement->rack + "\" and says \"" + registered + "\"";
}

std::optional<Verdict> node_problem(const ClusterInput& in, std::int32_t node_id) {
  const api::PoolSpec* pool = model::pool_of(in.cluster, node_id);
  if (!pool) return std::nullopt;
  const std::string name = model::pod_name(in.cluster, *pool, node_id);
  const ObservedPod* pod = find_pod(in, node_id);
  if (!pod) return Verdict{reason::kBrokersNotReady, "pod " + name + " does not exist yet"};
  if (pod->unschedulable)
    return Verdict{reason::kPodUnschedulable, "pod " + name + ": " + pod->problem};
  if (!pod->problem.empty())
    return Verdict{reason::kPodFailing, "pod " + name + ": " + pod->problem};
  if (pod->deleting) return Verdict{reason::kBrokersNotReady, "pod " + name + " is stopping"};
  if (!pod->ready) return Verdict{reason::kBrokersNotReady, "pod " + name + " is not ready"};
  return std::nullopt;
}

std::vector<api::NodePlacement> unknown_placements(const api::Cluster& cluster,
                                                   const std::vector<ObservedPod>& pods) {
  std::vector<api::NodePlacement> out;
  if (!cluster.spec.rack_topology_key) return out;
  for (const ObservedPod& pod : pods) {
    if (pod.node.empty() || model::pool_of(cluster, pod.node_id) == nullptr) continue;
    const api::NodePlacement* known = model::placement_of(cluster, pod.node_id);
    if (!known || known->node != pod.node) out.push_back({pod.node_id, pod.node, ""});
  }
  return out;
}

std::optional<api::ClusterStatus> plan_identity(const api::Cluster& cluster, const Identity& fresh,
                                                const std::string& image) {
  api::ClusterStatus status = cluster.status;
  if (status.cluster_id.empty()) status.cluster_id = fresh.cluster_id;
  if (status.version.empty()) status.version = cluster.spec.version;
  status.image = image;
  std::size_t next = 0;
  // Voters are written into the first checkpoint once; controllers that come later join instead.
  if (status.initial_controllers.empty() && !status.formatted) {
    for (const api::PoolSpec& pool : cluster.spec.pools) {
      if (!pool.has_role(api::Role::kController)) continue;
      for (std::int32_t id : model::node_ids(pool))
        if (next < fresh.directory_ids.size())
          status.initial_controllers.push_back({id, fresh.directory_ids[next++], false});
    }
  }
  if (status == cluster.status) return std::nullopt;
  return status;
}

api::ClusterStatus plan_cluster_status(const ClusterInput& in) {
  api::ClusterStatus status = in.cluster.status;
  if (in.cluster.metadata.is_paused()) return status;
  status.observed_generation = in.cluster.metadata.generation;
  const Judgement judgement{stalled(in), unfinished(in)};
  // What is refused is not shown as if it were there.
  if (in.errors.empty()) {
    fill_pools(in, status);
    fill_listeners(in, status);
    fill_owned_config(in, status);
  } else {
    status.ready_brokers = static_cast<std::int32_t>(
        std::count_if(in.pods.begin(), in.pods.end(),
                      [](const ObservedPod& pod) { return pod.ready && !pod.deleting; }));
  }
  if (!judgement.stalled && !in.observed_cluster_id.empty())
    status.cluster_id = in.observed_cluster_id;
  if (in.image && in.synced) status.metadata_version = in.image->features.metadata_version();
  if (in.quorum && in.quorum->leader_id >= 0) status.quorum_leader = in.quorum->leader_id;
  fill_formatted(in, status);
  status.roll = in.roll;
  status.scale = in.scale.status;
  if (in.certificates) status.certificates = in.certificates;
  fill_throttle(in, status);
  status.activity = activity_of(status);
  if (!judgement.stalled && !judgement.unfinished) status.formatted = true;
  fill_conditions(in, judgement, status);
  return status;
}

std::vector<std::pair<std::string, std::optional<std::string>>> plan_dynamic_config(
    const api::Cluster& cluster, const broker::metadata::MetadataImage& image) {
  const auto& actual = cluster_defaults(image);
  auto wanted = cluster.spec.config;
  // What is in the files, or the brokers would go on with what was there when they were formatted.
  if (is_pinned(image, kMinInsync))
    wanted.emplace(kMinInsync, std::to_string(model::default_min_insync(cluster)));
  std::vector<std::pair<std::string, std::optional<std::string>>> out;
  for (const auto& [key, value] : wanted) {
    if (!applies_at_run_time(key)) continue;
    const auto it = actual.find(key);
    if (it == actual.end() || it->second != value) out.emplace_back(key, value);
  }
  for (const std::string& key : cluster.status.owned_config)
    if (!wanted.contains(key) && actual.contains(key)) out.emplace_back(key, std::nullopt);
  return out;
}

}  // namespace op::plan
