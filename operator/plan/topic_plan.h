#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/api/topic.h"
#include "operator/plan/balance.h"
#include "operator/plan/replica_moves.h"
#include "operator/plan/types.h"

namespace op::plan {

struct CreateTopic {
  std::string name;
  std::int32_t partitions = -1;          // -1: the broker's default
  std::int16_t replication_factor = -1;  // -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs;

  bool operator==(const CreateTopic&) const = default;
};
struct CreatePartitions {
  std::string name;
  std::int32_t total_count = 0;

  bool operator==(const CreatePartitions&) const = default;
};
struct AlterTopicConfigs {
  std::string name;
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;  // nullopt: delete

  bool operator==(const AlterTopicConfigs&) const = default;
};
struct DeleteTopic {
  std::string name;

  bool operator==(const DeleteTopic&) const = default;
};
struct MoveReplicas {
  std::vector<Move> moves;

  bool operator==(const MoveReplicas&) const = default;
};
using TopicAction =
    std::variant<CreateTopic, CreatePartitions, AlterTopicConfigs, DeleteTopic, MoveReplicas>;

struct TopicInput {
  const api::Topic& topic;
  /// The cluster that answers now, and what it holds. A synced image only: absence is believed.
  std::string cluster_id;
  const broker::metadata::MetadataImage& image;
  /// The cluster id that the user has acknowledged on the Cluster (api::kAcknowledgeAnnotation).
  std::string acknowledged_cluster_id;
  std::optional<Verdict> not_admitted;
  /// An older Topic resource for the same topic of the same cluster.
  std::optional<api::ObjectName> older;
  /// Null: not known. Looked at while replicas are added.
  const PartitionBytes* bytes = nullptr;
  /// What the brokers answered to the last attempt for this generation.
  std::optional<Verdict> rejection;
  api::Timestamp now;
};

/// Actions in the order to carry them out; `status` is complete and is written when it differs.
/// Ownership (status.owned_keys) grows before the action that needs it: write status first.
struct TopicPlan {
  std::vector<TopicAction> actions;
  api::TopicStatus status;
  bool wants_finalizer = false;  // how metadata.finalizers should be
  std::optional<Verdict> event;  // something visible happens, or is blocked
};

TopicPlan plan_topic(const TopicInput& in);

/// Of two resources for one topic or user the older wins; names break a tie.
bool is_older(const api::ObjectMeta& a, const api::ObjectMeta& b);

}  // namespace op::plan
