#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"
#include "operator/api/move_progress.h"

namespace op::api {

enum class RebalanceGoal {
  kRackSpread,
  kReplicaCount,
  kLeaderCount,
  kDiskUsage,
  kNetworkIn,
  kNetworkOut
};
enum class RebalanceMode { kManual, kAuto };

/// Annotations of a Rebalance. The first two name a proposal, so that nothing but what was read is
/// approved, and nobody has to remove them afterwards.
inline constexpr std::string_view kApproveAnnotation = "millrace.io/approve";
inline constexpr std::string_view kCancelAnnotation = "millrace.io/cancel";  // or "true": any
/// Any new text asks for a new proposal.
inline constexpr std::string_view kRefreshAnnotation = "millrace.io/refresh";

struct RebalanceSpec {
  ClusterRef cluster_ref;
  std::vector<RebalanceGoal> goals;  // the most important first
  RebalanceMode mode = RebalanceMode::kManual;
  std::int32_t moves_at_once = 20;  // partitions

  bool operator==(const RebalanceSpec&) const = default;
};

enum class RebalanceState {
  kPlanning,   // no proposal yet
  kProposed,   // waits for approval
  kRunning,    // partitions are moved
  kStopping,   // what is under way is taken back, or finished before a new proposal
  kCancelled,  // what was moved stays where it is
  kDone,       // all moved, or nothing was to be moved
};

/// What would be done. The list itself is in a ConfigMap, in the format of Kafka's own tool.
struct RebalanceProposal {
  std::string id;
  std::int64_t generation = 0;  // of the spec that it is for
  std::string refresh;          // the annotation at that time
  Timestamp made_at;
  std::int64_t partitions = 0;       // that change in any way
  std::int64_t replicas = 0;         // that are copied
  std::int64_t leaders = 0;          // partitions that only get another preferred leader
  std::int64_t bytes = 0;            // that are copied
  std::string size;                  // the same for people: "3.2 GiB"
  std::vector<std::string> brokers;  // a table of before and after, a line for each broker

  bool operator==(const RebalanceProposal&) const = default;
};

struct RebalanceStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  RebalanceState state = RebalanceState::kPlanning;
  std::optional<RebalanceProposal> proposal;
  std::optional<MoveProgress> progress;  // once it is approved
  std::string summary;                   // for the printer column: "40/120, 4m10s"

  bool operator==(const RebalanceStatus&) const = default;
};

struct Rebalance {
  static constexpr std::string_view kKind = "Rebalance";
  static constexpr std::string_view kPlural = "rebalances";
  using Status = RebalanceStatus;

  ObjectMeta metadata;
  RebalanceSpec spec;
  RebalanceStatus status;

  bool operator==(const Rebalance&) const = default;
};

std::string_view to_string(RebalanceGoal goal);
std::string_view to_string(RebalanceState state);

}  // namespace op::api
