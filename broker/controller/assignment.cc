#include "broker/controller/assignment.h"

#include <algorithm>
#include <set>
#include <string>

#include "broker/controller/partition_change.h"
#include "broker/controller/placement.h"

namespace broker::controller {
namespace {

Error invalid_assignment(std::string why) {
  return {ErrorCode::kInvalidReplicaAssignment, std::move(why)};
}

}  // namespace

Result<std::vector<BrokerId>> check_manual_assignment(const metadata::ClusterImage& cluster,
                                                      const std::vector<std::int32_t>& broker_ids,
                                                      std::optional<std::size_t> replication_factor,
                                                      std::int32_t partition) {
  if (broker_ids.empty())
    return invalid_assignment("The manual partition assignment includes an empty replica list.");
  std::vector<BrokerId> replicas;
  std::set<std::int32_t> seen;
  for (const std::int32_t id : broker_ids) {
    const std::string name = std::to_string(id);
    if (!seen.insert(id).second)
      return invalid_assignment("The manual partition assignment includes the broker " + name +
                                " more than once.");
    if (cluster.broker(BrokerId{id}) == nullptr)
      return invalid_assignment("The manual partition assignment includes broker " + name +
                                ", but no such broker is registered.");
    replicas.push_back(BrokerId{id});
  }
  if (replication_factor && *replication_factor != replicas.size())
    return invalid_assignment(
        "The manual partition assignment includes a partition with " +
        std::to_string(replicas.size()) +
        " replica(s), but this is not consistent with previous partitions, which have " +
        std::to_string(*replication_factor) + " replica(s).");
  if (std::none_of(replicas.begin(), replicas.end(),
                   [&](BrokerId id) { return cluster.is_active(id); }))
    return invalid_assignment(
        "All brokers specified in the manual partition assignment for partition " +
        std::to_string(partition) + " are fenced or in controlled shutdown.");
  return replicas;
}

Result<std::vector<BrokerId>> check_reassignment_target(
    const metadata::ClusterImage& cluster, const std::vector<std::int32_t>& broker_ids) {
  if (broker_ids.empty())
    return invalid_assignment("The manual partition assignment includes an empty replica list.");
  std::vector<std::int32_t> sorted = broker_ids;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::string name = std::to_string(sorted[i]);
    if (cluster.broker(BrokerId{sorted[i]}) == nullptr)
      return invalid_assignment("The manual partition assignment includes broker " + name +
                                ", but no such broker is registered.");
    if (i > 0 && sorted[i - 1] == sorted[i])
      return invalid_assignment("The manual partition assignment includes the broker " + name +
                                " more than once.");
  }
  return to_broker_ids(broker_ids);
}

Result<protocol::PartitionRecord> new_partition(const metadata::ClusterImage& cluster,
                                                const TopicId& topic, std::int32_t index,
                                                const std::vector<BrokerId>& replicas) {
  protocol::PartitionRecord record;
  record.partition_id = index;
  record.topic_id = topic;
  record.replicas = to_numbers(replicas);
  for (const BrokerId id : replicas)
    if (cluster.is_active(id)) record.isr.push_back(id.value);
  if (record.isr.empty())
    return invalid_assignment("None of the replicas of partition " + std::to_string(index) +
                              " can lead it now.");
  record.leader = record.isr.front();
  record.leader_epoch = 0;
  record.partition_epoch = 0;
  record.directories = directories_for(cluster, replicas);
  return record;
}

}  // namespace broker::controller
