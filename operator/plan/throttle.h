#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/api/cluster.h"
#include "operator/plan/replica_moves.h"

namespace op::plan {

/// New configuration of one topic or broker; nullopt removes a key.
struct ThrottleChange {
  broker::metadata::ConfigResource resource;
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;

  bool operator==(const ThrottleChange&) const = default;
};

// How Kafka limits the copying of partitions, and what kafka-reassign-partitions.sh --throttle
// does: each broker has a rate as leader and as follower (…replication.throttled.rate), and each
// topic lists which replicas count (…replication.throttled.replicas): as leaders those that have
// the partition, as followers those that get it. Without the list the rate means nothing.

/// Whether the limits may be set: the Cluster's status says that they are the operator's.
bool throttle_is_recorded(const api::Cluster& cluster);

/// What has to be set before these moves begin. A list of "*" is somebody's wish, and has all.
std::vector<ThrottleChange> throttle_for(const broker::metadata::MetadataImage& image,
                                         std::int64_t bytes_per_second,
                                         const std::vector<Move>& moves);

/// What has to be mended or removed now. `declared`: the rate that the Cluster has, if any.
/// `busy`: moves are about to begin, or to go on. What moves is limited, whoever began it; when
/// nothing moves and nobody is about to, every rate and every list goes, also those that an
/// operator left behind that was killed.
std::vector<ThrottleChange> plan_throttle(const broker::metadata::MetadataImage& image,
                                          std::optional<std::int64_t> declared, bool busy);

}  // namespace op::plan
