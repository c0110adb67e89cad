#pragma once

#include <optional>
#include <string>

#include "broker/coordinator/group/group_state.h"
#include "broker/coordinator/runtime/types.h"

namespace broker::protocol {
struct OffsetCommitValue;
}

namespace broker::coordinator::group {

/// __consumer_offsets records as Kafka 4.3 writes them: OffsetCommit values in version 4 (1 when
/// the commit carries its own retention), GroupMetadata values in version 3.
inline constexpr std::int16_t kOffsetCommitKeyType = 1;
inline constexpr std::int16_t kLegacyOffsetCommitKeyType = 0;
inline constexpr std::int16_t kGroupMetadataKeyType = 2;

Record offset_record(const std::string& group, const std::string& topic, std::int32_t partition,
                     const CommittedOffset& offset);
CommittedOffset to_committed_offset(const protocol::OffsetCommitValue& value);
Record offset_tombstone(const std::string& group, const std::string& topic, std::int32_t partition);
/// `assignments` replace those of the members they name; state_since is `now`.
Record group_record(const Group& group, const std::map<std::string, Slice>& assignments,
                    WallMs now);
/// A group without members, in the generation it has.
Record empty_group_record(const Group& group, WallMs now);
Record group_tombstone(const std::string& group);

}  // namespace broker::coordinator::group
