#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"
#include "operator/api/move_progress.h"

namespace op::api {

enum class DeletePolicy { kRetain, kDelete };
enum class MissingPolicy { kReport, kRecreate };

struct TopicSpec {
  ClusterRef cluster_ref;
  std::string name;                                // defaults to metadata.name
  std::optional<std::int32_t> partitions;          // absent: the broker's num.partitions
  std::optional<std::int32_t> replication_factor;  // absent: follows the broker count
  std::map<std::string, std::string> config;
  DeletePolicy on_delete = DeletePolicy::kRetain;
  MissingPolicy on_missing = MissingPolicy::kReport;

  bool operator==(const TopicSpec&) const = default;
};

struct TopicStatus {
  std::int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string cluster_id;
  std::string topic_id;
  std::string topic_name;
  std::int32_t partitions = 0;
  std::int32_t replication_factor = 0;
  std::vector<std::string> owned_keys;   // config keys that spec.config names or once named
  std::optional<MoveProgress> progress;  // while the number of replicas is changed

  bool operator==(const TopicStatus&) const = default;
};

struct Topic {
  static constexpr std::string_view kKind = "Topic";
  static constexpr std::string_view kPlural = "topics";
  using Status = TopicStatus;

  ObjectMeta metadata;
  TopicSpec spec;
  TopicStatus status;

  bool operator==(const Topic&) const = default;
};

}  // namespace op::api
