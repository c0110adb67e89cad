#include "broker/coordinator/group/records.h"

#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/group_metadata_key.h"
#include "broker/protocol/messages/group_metadata_value.h"
#include "broker/protocol/messages/offset_commit_key.h"
#include "broker/protocol/messages/offset_commit_value.h"

namespace broker::coordinator::group {

namespace {

constexpr std::int16_t kGroupMetadataVersion = 3;

Slice offset_key(const std::string& group, const std::string& topic, std::int32_t partition) {
  protocol::OffsetCommitKey key;
  key.group = group;
  key.topic = topic;
  key.partition = partition;
  return encode(kOffsetCommitKeyType, key, 0);
}

Slice group_key(const std::string& group) {
  protocol::GroupMetadataKey key;
  key.group = group;
  return encode(kGroupMetadataKeyType, key, 0);
}

protocol::GroupMetadataValue header_of(const Group& group, WallMs now) {
  protocol::GroupMetadataValue value;
  value.protocol_type = group.protocol_type;
  value.generation = group.generation;
  value.current_state_timestamp = now;
  return value;
}

}  // namespace

Record offset_record(const std::string& group, const std::string& topic, std::int32_t partition,
                     const CommittedOffset& offset) {
  protocol::OffsetCommitValue value;
  value.offset = offset.offset;
  value.leader_epoch = offset.leader_epoch;
  value.metadata = offset.metadata;
  value.commit_timestamp = offset.commit_timestamp;
  value.expire_timestamp = offset.expire_timestamp;
  value.topic_id = offset.topic_id;
  // Only version 1 can say when an offset expires.
  const std::int16_t version = offset.expire_timestamp >= 0 ? 1 : 4;
  return {.key = offset_key(group, topic, partition), .value = encode(version, value, version)};
}

CommittedOffset to_committed_offset(const protocol::OffsetCommitValue& value) {
  return {.offset = value.offset,
          .leader_epoch = value.leader_epoch,
          .metadata = value.metadata,
          .commit_timestamp = value.commit_timestamp,
          .expire_timestamp = value.expire_timestamp,
          .topic_id = value.topic_id};
}

Record offset_tombstone(const std::string& group, const std::string& topic,
                        std::int32_t partition) {
  return {.key = offset_key(group, topic, partition), .value = std::nullopt};
}

Record group_record(const Group& group, const std::map<std::string, Slice>& assignments,
                    WallMs now) {
  protocol::GroupMetadataValue value = header_of(group, now);
  value.protocol = group.protocol;
  value.leader = group.leader;
  for (const auto& [id, member] : group.members) {
    const Slice* subscription = group.protocol ? member.metadata(*group.protocol) : nullptr;
    const auto assigned = assignments.find(id);
    protocol::GroupMetadataValue::MemberMetadata entry;
    entry.member_id = id;
    entry.group_instance_id = member.instance_id;
    entry.client_id = member.client_id;
    entry.client_host = member.client_host;
    entry.rebalance_timeout = static_cast<std::int32_t>(member.rebalance_timeout.count());
    entry.session_timeout = static_cast<std::int32_t>(member.session_timeout.count());
    entry.subscription = subscription ? *subscription : Slice();
    entry.assignment = assigned == assignments.end() ? member.assignment : assigned->second;
    value.members.push_back(std::move(entry));
  }
  return {.key = group_key(group.id),
          .value = encode(kGroupMetadataVersion, value, kGroupMetadataVersion)};
}

Record empty_group_record(const Group& group, WallMs now) {
  return {.key = group_key(group.id),
          .value = encode(kGroupMetadataVersion, header_of(group, now), kGroupMetadataVersion)};
}

Record group_tombstone(const std::string& group) {
  return {.key = group_key(group), .value = std::nullopt};
}

}  // namespace broker::coordinator::group
