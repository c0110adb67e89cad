#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operator/api/meta.h"

namespace op::api {

enum class RebalanceGoal { kRackSpread, kReplicaCount, kLeaderCount, kDiskUsage };
enum class RebalanceMode { kManual, kAuto };

struct RebalanceSpec {
  ClusterRef cluster_ref;
  std::vector<RebalanceGoal> goals;
  RebalanceMode mode = RebalanceMode::kManual;

  bool operator==(const RebalanceSpec&) const = default;
};

struct RebalanceStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;

  bool operator==(const RebalanceStatus&) const = default;
};

/// Accepted by the API and answered with NotSupportedYet: there is one broker to balance.
struct Rebalance {
  static constexpr std::string_view kKind = "Rebalance";
  static constexpr std::string_view kPlural = "rebalances";
  using Status = RebalanceStatus;

  ObjectMeta metadata;
  RebalanceSpec spec;
  RebalanceStatus status;

  bool operator==(const Rebalance&) const = default;
};

}  // namespace op::api
