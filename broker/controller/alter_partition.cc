#include <algorithm>

#include "broker/controller/partition_change.h"
#include "broker/controller/partitions.h"

namespace broker::controller {
namespace {

using metadata::LeaderRecoveryState;
using metadata::PartitionRegistration;
using protocol::AlterPartitionRequest;
using protocol::AlterPartitionResponse;

struct ProposedReplica {
  BrokerId id;
  std::int64_t epoch = -1;  // -1: not said
};

/// Versions below 3 name brokers only.
std::vector<ProposedReplica> proposed_isr(const AlterPartitionRequest::PartitionData& data) {
  std::vector<ProposedReplica> isr;
  for (const auto& state : data.new_isr_with_epochs)
    isr.push_back({BrokerId{state.broker_id}, state.broker_epoch});
  if (isr.empty())
    for (const std::int32_t id : data.new_isr) isr.push_back({BrokerId{id}, -1});
  return isr;
}

bool is_eligible(const metadata::ClusterImage& cluster, const ProposedReplica& replica) {
  const metadata::BrokerRegistration* broker = cluster.broker(replica.id);
  return broker != nullptr && cluster.is_active(replica.id) &&
         (replica.epoch == -1 || replica.epoch == broker->epoch.value);
}

ErrorCode check(const metadata::ClusterImage& cluster, const PartitionRegistration& partition,
                BrokerId sender, const AlterPartitionRequest::PartitionData& data,
                const std::vector<ProposedReplica>& isr) {
  if (data.leader_epoch > partition.leader_epoch.value ||
      data.partition_epoch > partition.partition_epoch.value)
    return ErrorCode::kNotController;
  if (data.leader_epoch < partition.leader_epoch.value) return ErrorCode::kFencedLeaderEpoch;
  if (partition.leader != sender) return ErrorCode::kInvalidRequest;
  if (data.partition_epoch < partition.partition_epoch.value)
    return ErrorCode::kInvalidUpdateVersion;
  bool has_leader = false;
  for (const ProposedReplica& replica : isr) {
    if (!partition.has_replica(replica.id)) return ErrorCode::kInvalidRequest;
    has_leader = has_leader || replica.id == partition.leader;
  }
  if (!has_leader) return ErrorCode::kInvalidRequest;
  const auto recovery = static_cast<LeaderRecoveryState>(data.leader_recovery_state);
  if (data.leader_recovery_state < 0 || data.leader_recovery_state > 1)
    return ErrorCode::kInvalidRequest;
  if (recovery == LeaderRecoveryState::kRecovering && isr.size() > 1)
    return ErrorCode::kInvalidRequest;
  if (recovery == LeaderRecoveryState::kRecovering &&
      partition.leader_recovery_state == LeaderRecoveryState::kRecovered)
    return ErrorCode::kInvalidRequest;
  if (!std::all_of(isr.begin(), isr.end(),
                   [&](const ProposedReplica& r) { return is_eligible(cluster, r); }))
    return ErrorCode::kIneligibleReplica;
  return ErrorCode::kNone;
}

AlterPartitionResponse::PartitionData alter(const DecideContext& context,
                                            const AlterPartitionRequest& request,
                                            const TopicId& topic,
                                            const AlterPartitionRequest::PartitionData& data,
                                            metadata::MetadataRecords& records) {
  AlterPartitionResponse::PartitionData result;
  result.partition_index = data.partition_index;
  const auto fail = [&](ErrorCode code) {
    result.error_code = static_cast<std::int16_t>(code);
    return result;
  };
  if (context.image.topics.find(topic) == nullptr) return fail(ErrorCode::kUnknownTopicId);
  const PartitionRegistration* partition =
      context.image.topics.partition(topic, data.partition_index);
  if (partition == nullptr) return fail(ErrorCode::kUnknownTopicOrPartition);
  const std::vector<ProposedReplica> isr = proposed_isr(data);
  if (const ErrorCode code =
          check(context.image.cluster, *partition, BrokerId{request.broker_id}, data, isr);
      code != ErrorCode::kNone)
    return fail(code);

  std::vector<BrokerId> ids;
  for (const ProposedReplica& replica : isr) ids.push_back(replica.id);
  result.leader_id = partition->leader.value;
  result.leader_epoch = partition->leader_epoch.value;
  result.isr = to_numbers(ids);
  result.leader_recovery_state = data.leader_recovery_state;
  result.partition_epoch = partition->partition_epoch.value;
  auto record =
      PartitionChange(context.image.cluster, topic, data.partition_index, *partition)
          .set_isr(ids)
          .set_recovery_state(static_cast<LeaderRecoveryState>(data.leader_recovery_state))
          .build();
  if (!record) return result;
  ++result.partition_epoch;
  // The leader may be on its way out (controlled shutdown): then someone else leads from here on.
  constexpr std::int32_t kNoLeaderChange = -2;
  if (record->leader != kNoLeaderChange) fail(ErrorCode::kNewLeaderElected);
  records.emplace_back(std::move(*record));
  return result;
}

}  // namespace

ControllerResult<AlterPartitionResponse> decide(const DecideContext& context,
                                                const AlterPartitionRequest& request) {
  ControllerResult<AlterPartitionResponse> out;
  const metadata::BrokerRegistration* sender =
      context.image.cluster.broker(BrokerId{request.broker_id});
  if (sender == nullptr || sender->epoch.value != request.broker_epoch) {
    out.response.error_code = static_cast<std::int16_t>(ErrorCode::kStaleBrokerEpoch);
    return out;
  }
  for (const auto& topic : request.topics) {
    AlterPartitionResponse::TopicData result;
    result.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions)
      result.partitions.push_back(alter(context, request, topic.topic_id, partition, out.records));
    out.response.topics.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
