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

AlterPartitionResponse::PartitionData alter(const DecideContext& context, RulesLookup& lookup,
                                            const AlterPartitionRequest& request,
                                            const TopicId& topic,
                                            const AlterPartitionRequest::PartitionData& data,
                                            metadata::MetadataRecords& records) {
  AlterPartitionResponse::PartitionData result;
  result.partition_index = data.partition_index;
  const auto fail = [&](ErrorCode code) {
    AlterPartitionResponse::PartitionData failed;
    failed.partition_index = data.partition_index;
    failed.error_code = static_cast<std::int16_t>(code);
    return failed;
  };
  const metadata::TopicImage* topic_image = context.image.topics.find(topic);
  if (topic_image == nullptr) return fail(ErrorCode::kUnknownTopicId);
  const PartitionRegistration* partition = topic_image->partitions.find(data.partition_index);
  if (partition == nullptr) return fail(ErrorCode::kUnknownTopicOrPartition);
  const std::vector<ProposedReplica> isr = proposed_isr(data);
  if (const ErrorCode code =
          check(context.image.cluster, *partition, BrokerId{request.broker_id}, data, isr);
      code != ErrorCode::kNone)
    return fail(code);

  std::vector<BrokerId> ids;
  for (const ProposedReplica& replica : isr) ids.push_back(replica.id);
  auto record =
      PartitionChange(context.image.cluster, lookup.of(*topic_image), topic, data.partition_index,
                      *partition)
          .elect(lookup.of(*topic_image).unclean_election ? Election::kUnclean : Election::kOnline)
          .set_isr(ids)
          .set_recovery_state(static_cast<LeaderRecoveryState>(data.leader_recovery_state))
          .build();
  result.leader_id = partition->leader.value;
  result.leader_epoch = partition->leader_epoch.value;
  result.isr = to_numbers(partition->isr);
  result.leader_recovery_state = static_cast<std::int8_t>(partition->leader_recovery_state);
  result.partition_epoch = partition->partition_epoch.value;
  if (!record) return result;
  ++result.partition_epoch;
  result.leader_recovery_state = data.leader_recovery_state;
  if (record->isr) result.isr = *record->isr;
  if (record->leader == partition->leader.value) ++result.leader_epoch;
  // The change completed a reassignment that takes the leader away, or the leader is on its way out
  // (controlled shutdown): someone else leads from here on.
  const bool led_by_other =
      record->leader != kNoLeaderChange && record->leader != partition->leader.value;
  records.emplace_back(std::move(*record));
  return led_by_other ? fail(ErrorCode::kNewLeaderElected) : result;
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
  RulesLookup lookup(context.image, context.options);
  for (const auto& topic : request.topics) {
    AlterPartitionResponse::TopicData result;
    result.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions)
      result.partitions.push_back(
          alter(context, lookup, request, topic.topic_id, partition, out.records));
    out.response.topics.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
