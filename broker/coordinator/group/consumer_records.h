#pragma once

#include <string>

#include "broker/coordinator/group/consumer_group.h"
#include "broker/coordinator/runtime/types.h"

namespace broker::coordinator::group {

/// The records of consumer groups in __consumer_offsets (key types 3 to 8 and 16), as Kafka 4.3
/// writes them.
inline constexpr std::int16_t kConsumerGroupMetadataKeyType = 3;
inline constexpr std::int16_t kConsumerGroupPartitionMetadataKeyType = 4;
inline constexpr std::int16_t kConsumerGroupMemberMetadataKeyType = 5;
inline constexpr std::int16_t kConsumerGroupTargetMetadataKeyType = 6;
inline constexpr std::int16_t kConsumerGroupTargetMemberKeyType = 7;
inline constexpr std::int16_t kConsumerGroupCurrentAssignmentKeyType = 8;
inline constexpr std::int16_t kConsumerGroupRegexKeyType = 16;

bool is_consumer_group_key(std::int16_t type);

Record consumer_epoch_record(const std::string& group, std::int32_t epoch, std::int64_t hash);
Record consumer_epoch_tombstone(const std::string& group);
Record consumer_partition_metadata_tombstone(const std::string& group);
Record consumer_member_record(const std::string& group, const ConsumerMember& member);
Record consumer_target_metadata_record(const std::string& group, std::int32_t epoch, WallMs at);
Record consumer_target_metadata_tombstone(const std::string& group);
Record consumer_target_record(const std::string& group, const std::string& member,
                              const assignor::Assignment& assignment);
Record consumer_current_record(const std::string& group, const ConsumerMember& member);
Record consumer_regex_record(const std::string& group, const std::string& regex,
                             const ResolvedRegex& resolved);
Record consumer_regex_tombstone(const std::string& group, const std::string& regex);

/// Its three tombstones, in the order in which they may be replayed.
void remove_consumer_member(const std::string& group, const std::string& member,
                            std::vector<Record>& records);
/// Everything there is of the group but its offsets.
void remove_consumer_group(const std::string& id, const ConsumerGroup& group,
                           std::vector<Record>& records);
/// Everything of a group made from a classic one.
void write_consumer_group(const std::string& id, const ConsumerGroup& group,
                          std::vector<Record>& records);

}  // namespace broker::coordinator::group
