#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "broker/controller/types.h"
#include "broker/metadata/cluster_image.h"

namespace broker::controller {

/// Checks replicas that a request names for one partition; all partitions need as many. Errors:
/// kInvalidReplicaAssignment with Kafka's sentence.
Result<std::vector<BrokerId>> check_manual_assignment(const metadata::ClusterImage& cluster,
                                                      const std::vector<std::int32_t>& broker_ids,
                                                      std::optional<std::size_t> replication_factor,
                                                      std::int32_t partition);

/// As above for a partition that exists: its brokers need not be alive, and Kafka looks at them in
/// order of id, so that the lowest one decides which error is reported.
Result<std::vector<BrokerId>> check_reassignment_target(
    const metadata::ClusterImage& cluster, const std::vector<std::int32_t>& broker_ids);

/// A new partition, led by the first replica that can. Errors: kInvalidReplicaAssignment when none
/// can.
Result<protocol::PartitionRecord> new_partition(const metadata::ClusterImage& cluster,
                                                const TopicId& topic, std::int32_t index,
                                                const std::vector<BrokerId>& replicas);

}  // namespace broker::controller
