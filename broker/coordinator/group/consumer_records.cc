#include "broker/coordinator/group/consumer_records.h"

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

template <class Key>
Slice group_key(std::int16_t type, const std::string& group) {
  Key key;
  key.group_id = group;
  return encode(type, key, 0);
}

template <class Key>
Slice member_key(std::int16_t type, const std::string& group, const std::string& member) {
  Key key;
  key.group_id = group;
  key.member_id = member;
  return encode(type, key, 0);
}

Slice regex_key(const std::string& group, const std::string& regex) {
  protocol::ConsumerGroupRegularExpressionKey key;
  key.group_id = group;
  key.regular_expression = regex;
  return encode(kConsumerGroupRegexKeyType, key, 0);
}

Slice epoch_key(const std::string& group) {
  return group_key<protocol::ConsumerGroupMetadataKey>(kConsumerGroupMetadataKeyType, group);
}

Slice subscription_key(const std::string& group, const std::string& member) {
  return member_key<protocol::ConsumerGroupMemberMetadataKey>(kConsumerGroupMemberMetadataKeyType,
                                                              group, member);
}

Slice target_key(const std::string& group, const std::string& member) {
  return member_key<protocol::ConsumerGroupTargetAssignmentMemberKey>(
      kConsumerGroupTargetMemberKeyType, group, member);
}

Slice target_metadata_key(const std::string& group) {
  return group_key<protocol::ConsumerGroupTargetAssignmentMetadataKey>(
      kConsumerGroupTargetMetadataKeyType, group);
}

Slice current_key(const std::string& group, const std::string& member) {
  return member_key<protocol::ConsumerGroupCurrentMemberAssignmentKey>(
      kConsumerGroupCurrentAssignmentKeyType, group, member);
}

auto to_record(const OwnedPartitions& owned) {
  std::vector<protocol::ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions> topics;
  for (const auto& [id, partitions] : owned) {
    auto& topic = topics.emplace_back();
    topic.topic_id = id;
    topic.assignment_epochs.emplace();
    for (const auto& [partition, epoch] : partitions) {
      topic.partitions.push_back(partition);
      topic.assignment_epochs->push_back(epoch);
    }
  }
  return topics;
}

}  // namespace

bool is_consumer_group_key(std::int16_t type) {
  return (type >= kConsumerGroupMetadataKeyType &&
          type <= kConsumerGroupCurrentAssignmentKeyType) ||
         type == kConsumerGroupRegexKeyType;
}

Record consumer_epoch_record(const std::string& group, std::int32_t epoch, std::int64_t hash) {
  protocol::ConsumerGroupMetadataValue value;
  value.epoch = epoch;
  value.metadata_hash = hash;
  return {.key = epoch_key(group), .value = encode(0, value, 0)};
}

Record consumer_epoch_tombstone(const std::string& group) {
  return {.key = epoch_key(group), .value = std::nullopt};
}

Record consumer_partition_metadata_tombstone(const std::string& group) {
  return {.key = group_key<protocol::ConsumerGroupPartitionMetadataKey>(
              kConsumerGroupPartitionMetadataKeyType, group),
          .value = std::nullopt};
}

Record consumer_member_record(const std::string& group, const ConsumerMember& member) {
  protocol::ConsumerGroupMemberMetadataValue value;
  value.instance_id = member.instance_id;
  value.rack_id = member.rack_id;
  value.client_id = member.client_id;
  value.client_host = member.client_host;
  value.subscribed_topic_names.assign(member.topics.begin(), member.topics.end());
  value.subscribed_topic_regex = member.regex;
  value.rebalance_timeout_ms = member.rebalance_timeout_ms;
  value.server_assignor = member.assignor;
  value.classic_member_metadata.reset();
  if (member.classic) {
    auto& classic = value.classic_member_metadata.emplace();
    classic.session_timeout_ms = member.classic->session_timeout_ms;
    for (const Protocol& each : member.classic->protocols)
      classic.supported_protocols.push_back({.name = each.name, .metadata = each.metadata});
  }
  return {.key = subscription_key(group, member.id), .value = encode(0, value, 0)};
}

Record consumer_target_metadata_record(const std::string& group, std::int32_t epoch, WallMs at) {
  protocol::ConsumerGroupTargetAssignmentMetadataValue value;
  value.assignment_epoch = epoch;
  value.assignment_timestamp = at;
  return {.key = target_metadata_key(group), .value = encode(0, value, 0)};
}

Record consumer_target_metadata_tombstone(const std::string& group) {
  return {.key = target_metadata_key(group), .value = std::nullopt};
}

Record consumer_target_record(const std::string& group, const std::string& member,
                              const assignor::Assignment& assignment) {
  protocol::ConsumerGroupTargetAssignmentMemberValue value;
  for (const auto& [topic, partitions] : assignment)
    value.topic_partitions.push_back(
        {.topic_id = topic, .partitions = {partitions.begin(), partitions.end()}});
  return {.key = target_key(group, member), .value = encode(0, value, 0)};
}

Record consumer_current_record(const std::string& group, const ConsumerMember& member) {
  protocol::ConsumerGroupCurrentMemberAssignmentValue value;
  value.member_epoch = member.epoch;
  value.previous_member_epoch = member.previous_epoch;
  value.state = static_cast<std::int8_t>(member.state);
  value.assigned_partitions = to_record(member.assigned);
  value.partitions_pending_revocation = to_record(member.pending_revocation);
  return {.key = current_key(group, member.id), .value = encode(0, value, 0)};
}

Record consumer_regex_record(const std::string& group, const std::string& regex,
                             const ResolvedRegex& resolved) {
  protocol::ConsumerGroupRegularExpressionValue value;
  value.topics.assign(resolved.topics.begin(), resolved.topics.end());
  value.version = resolved.version;
  value.timestamp = resolved.timestamp;
  return {.key = regex_key(group, regex), .value = encode(0, value, 0)};
}

Record consumer_regex_tombstone(const std::string& group, const std::string& regex) {
  return {.key = regex_key(group, regex), .value = std::nullopt};
}

void remove_consumer_member(const std::string& group, const std::string& member,
                            std::vector<Record>& records) {
  records.push_back({.key = current_key(group, member), .value = std::nullopt});
  records.push_back({.key = target_key(group, member), .value = std::nullopt});
  records.push_back({.key = subscription_key(group, member), .value = std::nullopt});
}

void remove_consumer_group(const std::string& id, const ConsumerGroup& group,
                           std::vector<Record>& records) {
  for (const auto& [member, entry] : group.members())
    records.push_back({.key = current_key(id, member), .value = std::nullopt});
  for (const auto& [member, entry] : group.members())
    records.push_back({.key = target_key(id, member), .value = std::nullopt});
  records.push_back(consumer_target_metadata_tombstone(id));
  for (const auto& [member, entry] : group.members())
    records.push_back({.key = subscription_key(id, member), .value = std::nullopt});
  for (const auto& [regex, resolved] : group.regexes)
    records.push_back(consumer_regex_tombstone(id, regex));
  records.push_back(consumer_partition_metadata_tombstone(id));
  records.push_back(consumer_epoch_tombstone(id));
}

void write_consumer_group(const std::string& id, const ConsumerGroup& group,
                          std::vector<Record>& records) {
  for (const auto& [member_id, member] : group.members())
    records.push_back(consumer_member_record(id, member));
  records.push_back(consumer_epoch_record(id, group.epoch, group.metadata_hash));
  for (const auto& [member_id, assignment] : group.target)
    records.push_back(consumer_target_record(id, member_id, assignment));
  records.push_back(
      consumer_target_metadata_record(id, group.assignment_epoch, group.assignment_timestamp));
  for (const auto& [member_id, member] : group.members())
    records.push_back(consumer_current_record(id, member));
}

}  // namespace broker::coordinator::group
