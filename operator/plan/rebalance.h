#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/api/cluster.h"
#include "operator/api/rebalance.h"
#include "operator/plan/balance.h"
#include "operator/plan/replica_moves.h"
#include "operator/plan/types.h"

namespace op::plan {

/// One partition of a proposal. Only while it still is as it was found it is moved.
struct PlannedMove {
  std::string topic;
  std::int32_t partition = 0;
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
  std::int64_t bytes = 0;  // to be copied

  bool operator==(const PlannedMove&) const = default;
};

/// The proposal as it is kept beside the resource: what was shown and approved is what is done,
/// whichever operator does it.
struct RebalanceDocument {
  std::string id;
  std::vector<PlannedMove> moves;

  bool operator==(const RebalanceDocument&) const = default;
};

/// A document must fit into one object of Kubernetes; what does not is left for the next proposal.
inline constexpr std::size_t kDocumentBytes = 700'000;

/// Bytes that were copied already of a partition under way: (topic, partition) -> bytes.
using CopiedBytes = std::map<std::pair<std::string, std::int32_t>, std::int64_t>;

struct RebalanceInput {
  const api::Rebalance& rebalance;
  const api::Cluster& cluster;  // for what else goes on in it
  std::string cluster_id;
  std::string acknowledged_cluster_id;
  const broker::metadata::MetadataImage& image;  // synced
  const PartitionBytes* bytes = nullptr;         // null: not known yet
  std::string bytes_problem;                     // why not
  CopiedBytes copied;
  const RebalanceDocument* document = nullptr;  // null: there is none
  /// An older Rebalance of the same cluster that is not done yet.
  std::optional<api::ObjectName> older;
  std::string round_problem;  // what Kafka refused last; "" if nothing
  api::Timestamp now;
};

/// The new document is stored first, then the status, then Kafka is asked.
struct RebalancePlan {
  std::optional<RebalanceDocument> document;
  api::RebalanceStatus status;
  bool wants_finalizer = false;
  std::optional<Verdict> event;
  std::vector<Move> moves;
  std::vector<std::pair<std::string, std::int32_t>> elections;
  bool look_again = false;  // progress shows by no event
  bool needs_bytes = false;
};

/// A proposal from goals, its approval, its execution a few partitions at a time, its end. Nothing
/// is begun while nodes are restarted, come or go, or are away. What was done is read from the
/// image: an operator that starts anew goes on.
RebalancePlan plan_rebalance(const RebalanceInput& in);

/// Whether the next plan makes a proposal, for which the sizes of logs are needed: there is none,
/// the resource has changed, or another one was asked for.
bool wants_new_proposal(const api::Rebalance& rebalance);

/// The goals in their order; RackSpread holds for every other one too. Exposed for tests.
struct Proposed {
  std::vector<PlannedMove> moves;
  std::int64_t replicas = 0;
  std::int64_t leaders = 0;
  std::int64_t bytes = 0;
  std::vector<std::string> table;
};
Proposed propose(const broker::metadata::MetadataImage& image,
                 const std::vector<api::RebalanceGoal>& goals, const PartitionBytes& bytes);

}  // namespace op::plan
