// Records of consumer groups: what they say becomes the group.
#include "broker/common/topic_name.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/consumer_group_current_member_assignment_key.h"
#include "broker/protocol/messages/consumer_group_current_member_assignment_value.h"
#include "broker/protocol/messages/consumer_group_member_metadata_key.h"
#include "broker/protocol/messages/consumer_group_member_metadata_value.h"
#include "broker/protocol/messages/consumer_group_metadata_key.h"
#include "broker/protocol/messages/consumer_group_metadata_value.h"
#include "broker/protocol/messages/consumer_group_partition_metadata_key.h"
#include "broker/protocol/messages/consumer_group_regular_expression_key.h"
#include "broker/protocol/messages/consumer_group_regular_expression_value.h"
#include "broker/protocol/messages/consumer_group_target_assignment_member_key.h"
#include "broker/protocol/messages/consumer_group_target_assignment_member_value.h"
#include "broker/protocol/messages/consumer_group_target_assignment_metadata_key.h"
#include "broker/protocol/messages/consumer_group_target_assignment_metadata_value.h"

namespace broker::coordinator::group {

namespace {

// Until 4.2 nobody wrote since when a partition is the member's: it counts from the present epoch.
template <class Topics>
OwnedPartitions owned_of(const Topics& topics, std::int32_t member_epoch) {
  OwnedPartitions owned;
  for (const auto& topic : topics)
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const auto& epochs = topic.assignment_epochs;
      const bool known = epochs && i < epochs->size();
      owned[topic.topic_id][topic.partitions[i]] = known ? (*epochs)[i] : member_epoch;
    }
  return owned;
}

void take_over(ConsumerMember& member, protocol::ConsumerGroupMemberMetadataValue value) {
  member.instance_id = std::move(value.instance_id);
  member.rack_id = std::move(value.rack_id);
  member.client_id = std::move(value.client_id);
  member.client_host = std::move(value.client_host);
  member.topics = {value.subscribed_topic_names.begin(), value.subscribed_topic_names.end()};
  member.regex = std::move(value.subscribed_topic_regex);
  member.rebalance_timeout_ms = value.rebalance_timeout_ms;
  member.assignor = std::move(value.server_assignor);
  member.classic.reset();
  // An absent field is an empty one, and null says that there is none.
  if (!value.classic_member_metadata) return;
  ClassicTerms& classic = member.classic.emplace();
  classic.session_timeout_ms = value.classic_member_metadata->session_timeout_ms;
  for (const auto& each : value.classic_member_metadata->supported_protocols)
    classic.protocols.push_back(
        {.name = each.name, .metadata = Slice::copy_of(each.metadata.span())});
}

}  // namespace

ConsumerGroup& GroupShard::consumer_group(const std::string& group_id) {
  Group& owner = group(group_id);
  if (!owner.consumer) owner.consumer = std::make_unique<ConsumerGroup>();
  return *owner.consumer;
}

ConsumerGroup* GroupShard::find_consumer_group(const std::string& group_id) {
  Group* owner = find_mutable(group_id);
  return owner ? owner->consumer.get() : nullptr;
}

Result<void> GroupShard::replay_consumer(std::int16_t type, protocol::Reader& key,
                                         const Record& record) {
  switch (type) {
    case kConsumerGroupMetadataKeyType:
      return replay_consumer_epoch(key, record);
    case kConsumerGroupPartitionMetadataKeyType: {
      ASSIGN_OR_RETURN(const auto at, decode<protocol::ConsumerGroupPartitionMetadataKey>(key, 0));
      if (record.value)
        consumer_group(at.group_id).has_partition_metadata = true;
      else if (ConsumerGroup* known = find_consumer_group(at.group_id))
        known->has_partition_metadata = false;
      return {};
    }
    case kConsumerGroupMemberMetadataKeyType:
      return replay_consumer_member(key, record);
    case kConsumerGroupCurrentAssignmentKeyType:
      return replay_consumer_current(key, record);
    case kConsumerGroupRegexKeyType:
      return replay_consumer_regex(key, record);
    default:
      return replay_consumer_target(type, key, record);
  }
}

Result<void> GroupShard::replay_consumer_epoch(protocol::Reader& key, const Record& record) {
  ASSIGN_OR_RETURN(const auto at, decode<protocol::ConsumerGroupMetadataKey>(key, 0));
  ASSIGN_OR_RETURN(const auto value,
                   decode_value<protocol::ConsumerGroupMetadataValue>(record, kGroupOffsetsTopic));
  if (value) {
    ConsumerGroup& group = consumer_group(at.group_id);
    group.epoch = value->epoch;
    group.metadata_hash = value->metadata_hash;
    return {};
  }
  Group* known = find_mutable(at.group_id);
  if (!known || !known->consumer) return {};
  known->consumer.reset();
  forget_if_unused(at.group_id);
  return {};
}

Result<void> GroupShard::replay_consumer_member(protocol::Reader& key, const Record& record) {
  ASSIGN_OR_RETURN(const auto at, decode<protocol::ConsumerGroupMemberMetadataKey>(key, 0));
  ASSIGN_OR_RETURN(auto value, decode_value<protocol::ConsumerGroupMemberMetadataValue>(
                                   record, kGroupOffsetsTopic));
  if (!value) {
    if (ConsumerGroup* known = find_consumer_group(at.group_id)) known->remove(at.member_id);
    consumer_timers_.erase({at.group_id, at.member_id});
    return {};
  }
  ConsumerGroup& group = consumer_group(at.group_id);
  const ConsumerMember* known = group.find(at.member_id);
  ConsumerMember member = known ? *known : ConsumerMember{.id = at.member_id};
  take_over(member, std::move(*value));
  group.put(std::move(member));
  return {};
}

Result<void> GroupShard::replay_consumer_current(protocol::Reader& key, const Record& record) {
  ASSIGN_OR_RETURN(const auto at,
                   decode<protocol::ConsumerGroupCurrentMemberAssignmentKey>(key, 0));
  ASSIGN_OR_RETURN(const auto value,
                   decode_value<protocol::ConsumerGroupCurrentMemberAssignmentValue>(
                       record, kGroupOffsetsTopic));
  ConsumerGroup* group = value ? &consumer_group(at.group_id) : find_consumer_group(at.group_id);
  const ConsumerMember* known = group ? group->find(at.member_id) : nullptr;
  if (!value && !known) return {};
  ConsumerMember member = known ? *known : ConsumerMember{.id = at.member_id};
  member.epoch = value ? value->member_epoch : kLeaveEpoch;
  member.previous_epoch = value ? value->previous_member_epoch : kLeaveEpoch;
  member.assigned.clear();
  member.pending_revocation.clear();
  if (value) {
    const bool known_state = value->state >= 0 && value->state <= 2;
    member.state = known_state ? static_cast<MemberState>(value->state) : MemberState::kUnknown;
    member.assigned = owned_of(value->assigned_partitions, member.epoch);
    member.pending_revocation = owned_of(value->partitions_pending_revocation, member.epoch);
  }
  group->put(std::move(member));
  return {};
}

Result<void> GroupShard::replay_consumer_target(std::int16_t type, protocol::Reader& key,
                                                const Record& record) {
  if (type == kConsumerGroupTargetMetadataKeyType) {
    ASSIGN_OR_RETURN(const auto at,
                     decode<protocol::ConsumerGroupTargetAssignmentMetadataKey>(key, 0));
    ASSIGN_OR_RETURN(const auto value,
                     decode_value<protocol::ConsumerGroupTargetAssignmentMetadataValue>(
                         record, kGroupOffsetsTopic));
    ConsumerGroup* group = value ? &consumer_group(at.group_id) : find_consumer_group(at.group_id);
    if (!group) return {};
    group->assignment_epoch = value ? value->assignment_epoch : -1;
    group->assignment_timestamp = value ? value->assignment_timestamp : 0;
    return {};
  }
  ASSIGN_OR_RETURN(const auto at, decode<protocol::ConsumerGroupTargetAssignmentMemberKey>(key, 0));
  ASSIGN_OR_RETURN(
      const auto value,
      decode_value<protocol::ConsumerGroupTargetAssignmentMemberValue>(record, kGroupOffsetsTopic));
  if (!value) {
    if (ConsumerGroup* known = find_consumer_group(at.group_id)) known->target.erase(at.member_id);
    return {};
  }
  assignor::Assignment& assignment = consumer_group(at.group_id).target[at.member_id];
  assignment.clear();
  for (const auto& topic : value->topic_partitions)
    assignment[topic.topic_id].insert(topic.partitions.begin(), topic.partitions.end());
  return {};
}

Result<void> GroupShard::replay_consumer_regex(protocol::Reader& key, const Record& record) {
  ASSIGN_OR_RETURN(const auto at, decode<protocol::ConsumerGroupRegularExpressionKey>(key, 0));
  ASSIGN_OR_RETURN(const auto value, decode_value<protocol::ConsumerGroupRegularExpressionValue>(
                                         record, kGroupOffsetsTopic));
  if (!value) {
    if (ConsumerGroup* known = find_consumer_group(at.group_id))
      known->regexes.erase(at.regular_expression);
    return {};
  }
  consumer_group(at.group_id).regexes[at.regular_expression] = {
      .topics = {value->topics.begin(), value->topics.end()},
      .version = value->version,
      .timestamp = value->timestamp};
  return {};
}

}  // namespace broker::coordinator::group
