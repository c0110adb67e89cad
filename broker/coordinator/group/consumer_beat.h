#pragma once

#include <functional>
#include <optional>
#include <string>

#include "broker/coordinator/group/consumer_group.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/metadata/image.h"

namespace broker::coordinator::group {

/// One heartbeat, or join by the classic protocol, on its way through a consumer group.
struct GroupShard::Beat {
  const std::string& group_id;
  const CallContext& call;
  TopicFilter may_see;
  const Now& now;
  const metadata::ImagePtr image;
  Output& out;
  std::optional<ConsumerGroup> made{};  // a new or converted group, which no record tells of yet
};

/// Who asks: as it was before this request, and whose place it takes.
struct GroupShard::Seat {
  ConsumerMember member;
  std::set<std::string> gone;
};

struct GroupShard::Target {
  std::int32_t epoch = -1;
  assignor::Assignment assignment;  // of the member that asks
};

enum class GroupShard::RegexChange {
  kNone,
  kUnresolved,  // to one that nobody has looked up yet
  kResolved,    // what it stands for is known: the target may be computed
};

/// Whether the instance id is the member's own. Errors: kUnknownMemberId, kFencedInstanceId.
Result<void> check_instance(const ConsumerMember* owner, const std::string& member_id,
                            const std::string& instance_id);
Error unknown_member(const std::string& group_id, const std::string& member_id);

}  // namespace broker::coordinator::group
