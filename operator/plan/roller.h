#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/plan/types.h"

namespace op::plan {

struct ClusterInput;

struct Nothing {
  bool operator==(const Nothing&) const = default;
};
/// Something must be seen first. Events bring the cluster back; what no event tells (offsets of
/// controllers) is asked for again.
struct WaitUntilReady {
  Verdict why;
  bool operator==(const WaitUntilReady&) const = default;
};
struct RestartBroker {
  std::int32_t node_id = 0;
  std::string pod;
  std::string uid;  // delete only this one
  Verdict why;
  bool operator==(const RestartBroker&) const = default;
};
/// The node is back; what it led before it went, it is to lead again.
struct RestoreLeaders {
  std::vector<std::pair<std::string, std::int32_t>> partitions;  // topic, index
  Verdict why;
  bool operator==(const RestoreLeaders&) const = default;
};
using RollAction = std::variant<Nothing, WaitUntilReady, RestartBroker, RestoreLeaders>;

/// The next step, and what status must say before it is taken: an operator that is killed between
/// the two finds the node under way there and does not take another one.
struct RollStep {
  RollAction action;
  std::optional<api::RollStatus> status;
};

/// Restarts the pods that run what was declared before, one at a time.
///
/// A pod that does not serve already (it crashes, cannot be pulled or scheduled) goes at once:
/// nothing is lost, and taking a bad change back heals it; but none follows a pod that the change
/// itself broke. Every other one only when
///  - all pods of the cluster are ready, and the metadata is current;
///  - every replica of every partition is in sync, and none is being moved;
///  - every controller has caught up with the metadata log.
/// The same is the evidence that the node before is back, together with a new pod and a new
/// registration of its broker; then it gets back the leaderships of the partitions that prefer it,
/// if that can be done within some seconds.
/// Order: brokers first, those that lead least before the others; then controllers; the leader of
/// the quorum last.
RollStep plan_roll(const ClusterInput& in);

/// Partitions of which a replica is not in sync, or that are being moved.
struct ReplicationHealth {
  std::int64_t under_replicated = 0;
  std::int64_t moving = 0;
  std::string example;  // "shop.orders-3"
};
ReplicationHealth replication_health(const ClusterInput& in);

}  // namespace op::plan
