#include <algorithm>

#include "broker/common/text.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"

namespace broker::coordinator::group {

Output GroupShard::list(const std::set<std::string>& states, const std::set<std::string>& types,
                        Reply<ListedGroups> reply) const {
  ListedGroups listed;
  for (const auto& [id, group] : groups_) {
    const std::string type = group.consumer ? "consumer" : "classic";
    if (!types.empty() && !types.contains(type)) continue;
    const std::string state(group.shown_state());
    if (!states.empty() && !states.contains(lower(state))) continue;
    protocol::ListGroupsResponse::ListedGroup entry;
    entry.group_id = id;
    entry.protocol_type = group.consumer ? "consumer" : group.protocol_type;
    entry.group_state = state;
    entry.group_type = type;
    listed.push_back(std::move(entry));
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), listed = std::move(listed)](ErrorCode error) mutable {
        reply(error == ErrorCode::kNone ? std::move(listed) : ListedGroups());
      });
  return out;
}

Output GroupShard::describe(const CallContext& call, const std::string& group_id,
                            Reply<protocol::DescribeGroupsResponse::DescribedGroup> reply) const {
  protocol::DescribeGroupsResponse::DescribedGroup described;
  described.group_id = group_id;
  const Group* group = find(group_id);
  if (group && !group->consumer) {
    const bool stable = group->state == State::kStable;
    described.group_state = state_name(group->state);
    described.protocol_type = group->protocol_type;
    if (stable) described.protocol_data = group->protocol.value_or("");
    for (const auto& [id, member] : group->members) {
      protocol::DescribeGroupsResponse::DescribedGroupMember entry;
      entry.member_id = id;
      entry.group_instance_id = member.instance_id;
      entry.client_id = member.client_id;
      entry.client_host = member.client_host;
      // Only in Stable is it known which protocol's metadata counts.
      const Slice* metadata = stable ? member.metadata(described.protocol_data) : nullptr;
      if (metadata) entry.member_metadata = *metadata;
      if (stable) entry.member_assignment = member.assignment;
      described.members.push_back(std::move(entry));
    }
  } else {
    described.group_state = "Dead";
    if (call.version >= 6) {
      described.error_code = wire(ErrorCode::kGroupIdNotFound);
      described.error_message = group ? "Group " + group_id + " is not a classic group."
                                      : "Group " + group_id + " not found.";
    }
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), described = std::move(described)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          protocol::DescribeGroupsResponse::DescribedGroup failed;
          failed.group_id = described.group_id;
          failed.error_code = wire(error);
          described = std::move(failed);
        }
        reply(std::move(described));
      });
  return out;
}

Output GroupShard::delete_group(
    const std::string& group_id,
    Reply<protocol::DeleteGroupsResponse::DeletableGroupResult> reply) const {
  Output out;
  protocol::DeleteGroupsResponse::DeletableGroupResult result;
  result.group_id = group_id;
  const Group* group = find(group_id);
  if (!group)
    result.error_code = wire(ErrorCode::kGroupIdNotFound);
  else if (!group->is_empty())
    result.error_code = wire(ErrorCode::kNonEmptyGroup);
  for (const auto& at : pending_.of(group_id))
    out.records.push_back(offset_tombstone(group_id, at.first, at.second));
  if (result.error_code == 0) {
    for (const auto& [at, offset] : group->offsets)
      out.records.push_back(offset_tombstone(group_id, at.first, at.second));
    if (group->consumer)
      remove_consumer_group(group_id, *group->consumer, out.records);
    else
      out.records.push_back(group_tombstone(group_id));
  }
  out.on_committed.push_back(
      [reply = std::move(reply), result = std::move(result)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) result.error_code = wire(error);
        reply(std::move(result));
      });
  return out;
}

}  // namespace broker::coordinator::group
