#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/plan/replica_moves.h"
#include "operator/plan/types.h"

namespace op::plan {

struct ClusterInput;

/// Nodes that are there and not declared any more stay part of the cluster until they may go: puts
/// them back into their pools and returns them. They are the last ones of a pool.
std::set<std::int32_t> hold_leaving_nodes(api::Cluster& cluster);

/// What is to be asked of Kafka now, and what status must say before.
struct ScaleStep {
  std::optional<api::ScaleStatus> status;
  /// Leaving nodes that hold nothing and have no vote: their pods may go.
  std::set<std::int32_t> released;
  /// Leaving nodes that hold nothing: their vote may be taken.
  std::set<std::int32_t> drained;
  std::vector<Move> moves;
  std::vector<std::int32_t> cordon;      // brokers: nothing new is placed on them
  std::vector<std::int32_t> uncordon;    // they stay after all, or are gone
  std::vector<std::int32_t> unregister;  // stopped and empty
  /// Why it does not go on by itself; shown to the user.
  std::optional<Verdict> blocked;
};

/// Partitions whose replicas are moved at the same time.
inline constexpr std::size_t kMovesAtOnce = 20;

/// Nodes that leave: cordoned, drained, their vote taken (quorum_plan.h), their pods stopped from
/// the last one down, unregistered. Nothing of it begins while a partition has more replicas than
/// brokers would be left. A node that is declared again on the way stays: what was on its way to
/// elsewhere is taken back.
///
/// Brokers that came: internal topics that had fewer replicas than a cluster of this size gives
/// them are raised, and with `rebalance.onScale: Auto` partitions are spread over all brokers.
///
/// Nothing is moved while a node is being restarted. All that is known about what was moved is in
/// the image: an operator that starts anew goes on.
ScaleStep plan_scale(const ClusterInput& in);

/// "Rolling 2/3", "Waiting 2/3" for a maintenance window, "Draining 12/36", "Spreading 3/8",
/// "Spreading" while it is not known yet how much there is to do; "" at rest.
std::string activity_of(const api::ClusterStatus& status);

}  // namespace op::plan
