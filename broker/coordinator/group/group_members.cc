#include <map>

#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/sync_group_request.h"

namespace broker::coordinator::group {

namespace {

ErrorCode check_sync(const Group& group, const protocol::SyncGroupRequest& request) {
  const ErrorCode member = group.check_member(request.member_id, request.group_instance_id);
  if (member != ErrorCode::kNone) return member;
  if (request.generation_id != group.generation) return ErrorCode::kIllegalGeneration;
  if ((request.protocol_type && *request.protocol_type != group.protocol_type) ||
      (request.protocol_name && request.protocol_name != group.protocol))
    return ErrorCode::kInconsistentGroupProtocol;
  return ErrorCode::kNone;
}

}  // namespace

Output GroupShard::sync(const CallContext&, const protocol::SyncGroupRequest& request,
                        const Now& now, SyncReply reply) {
  Output out;
  Group* found = find_mutable(request.group_id);
  if (found && found->consumer)
    return sync_consumer(*found->consumer, request, now, std::move(reply));
  ErrorCode error = ErrorCode::kUnknownMemberId;
  if (request.group_id.empty())
    error = ErrorCode::kInvalidGroupId;
  else if (found)
    error = check_sync(*found, request);
  if (error == ErrorCode::kNone && found->state == State::kEmpty)
    error = ErrorCode::kUnknownMemberId;
  if (error == ErrorCode::kNone && found->state == State::kPreparingRebalance)
    error = ErrorCode::kRebalanceInProgress;
  if (error != ErrorCode::kNone) {
    reply(sync_error(error));
    return out;
  }

  Group& group = *found;
  Member& member = *group.find(request.member_id);
  member.sync_pending = false;
  touch_session(group, member, now);
  if (group.state == State::kStable) {
    out.on_committed.push_back(
        [reply = std::move(reply), response = group.synced(member)](ErrorCode failure) mutable {
          reply(failure == ErrorCode::kNone ? std::move(response) : sync_error(failure));
        });
    return out;
  }
  if (member.sync_reply)  // the client gave up on its first request
    member.sync_reply(sync_error(ErrorCode::kRebalanceInProgress));
  member.sync_reply = std::move(reply);
  if (!group.is_leader(member)) return out;

  std::map<std::string, Slice> assignments;
  for (const auto& [id, each] : group.members) assignments[id] = Slice();
  for (const auto& each : request.assignments)
    if (group.find(each.member_id))
      assignments[each.member_id] = Slice::copy_of(each.assignment.span());
  out.records.push_back(group_record(group, assignments, now.wall));
  ParkedSyncs parked;
  for (auto& [id, each] : group.members) {
    if (!each.sync_reply) continue;
    parked.emplace_back(id, std::move(each.sync_reply));
    each.sync_reply = nullptr;
  }
  out.on_committed.push_back([this, id = group.id, generation = group.generation,
                              parked = std::move(parked)](ErrorCode failure) mutable {
    finish_sync(id, generation, failure, parked);
  });
  return out;
}

void GroupShard::finish_sync(const std::string& group_id, std::int32_t generation, ErrorCode error,
                             ParkedSyncs& parked) {
  Group* group = find_mutable(group_id);
  const bool same = group && group->generation == generation;
  for (auto& [member_id, reply] : parked) {
    Member* member = same ? group->find(member_id) : nullptr;
    // Not written: the members join again, find this generation still open, and sync again.
    if (error != ErrorCode::kNone && member && group->state == State::kCompletingRebalance)
      member->sync_pending = true;
    if (error != ErrorCode::kNone)
      reply(sync_error(error));
    else if (!member)
      reply(sync_error(ErrorCode::kUnknownMemberId));
    else if (group->state != State::kStable)
      reply(sync_error(ErrorCode::kRebalanceInProgress));
    else
      reply(group->synced(*member));
  }
}

Output GroupShard::heartbeat(const protocol::HeartbeatRequest& request, const Now& now,
                             Reply<protocol::HeartbeatResponse> reply) {
  Group* group = find_mutable(request.group_id);
  ErrorCode error = ErrorCode::kUnknownMemberId;
  if (group && group->consumer) {
    protocol::HeartbeatResponse response;
    response.error_code = wire(heartbeat_consumer(*group->consumer, request, now));
    reply(std::move(response));
    return {};
  }
  if (request.group_id.empty())
    error = ErrorCode::kInvalidGroupId;
  else if (group)
    error = group->check_member(request.member_id, request.group_instance_id);
  if (error == ErrorCode::kNone && request.generation_id != group->generation)
    error = ErrorCode::kIllegalGeneration;
  if (error == ErrorCode::kNone && group->state == State::kEmpty)
    error = ErrorCode::kUnknownMemberId;
  if (error == ErrorCode::kNone) {
    touch_session(*group, *group->find(request.member_id), now);
    if (group->state == State::kPreparingRebalance) error = ErrorCode::kRebalanceInProgress;
  }
  protocol::HeartbeatResponse response;
  response.error_code = wire(error);
  reply(std::move(response));
  return {};
}

Output GroupShard::leave(const CallContext& call, const protocol::LeaveGroupRequest& request,
                         const Now& now, Reply<protocol::LeaveGroupResponse> reply) {
  Output out;
  protocol::LeaveGroupResponse response;
  Group* group = find_mutable(request.group_id);
  if (!group || request.group_id.empty()) {
    response.error_code =
        wire(request.group_id.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kUnknownMemberId);
    reply(std::move(response));
    return out;
  }
  if (group->consumer)
    return leave_consumer(call, *group->consumer, request, now, std::move(reply));
  bool member_left = false;
  bool pending_left = false;
  const auto leave_one = [&](const std::string& member_id,
                             const std::optional<std::string>& instance_id) {
    if (!instance_id && group->pending_members.erase(member_id) > 0) {
      pending_left = true;
      return ErrorCode::kNone;
    }
    // An administrator names static members by instance id alone.
    const Member* by_instance = instance_id ? group->find_static(*instance_id) : nullptr;
    const std::string id = member_id.empty() && by_instance ? by_instance->id : member_id;
    const ErrorCode error = group->check_member(id, instance_id);
    if (error == ErrorCode::kNone) {
      drop_member(*group, id, ErrorCode::kUnknownMemberId);
      member_left = true;
    }
    return error;
  };
  if (call.version < 3) {
    response.error_code = wire(leave_one(request.member_id, std::nullopt));
  } else {
    for (const auto& member : request.members)
      response.members.push_back(
          {.member_id = member.member_id,
           .group_instance_id = member.group_instance_id,
           .error_code = wire(leave_one(member.member_id, member.group_instance_id))});
  }
  if (member_left && group->state != State::kEmpty)
    rebalance_or_complete(*group, now, out);
  else if (pending_left && group->state == State::kPreparingRebalance)
    complete_join_if_all_joined(*group, now, out);
  // Not held back: membership is memory only, the client does not depend on what is written.
  reply(std::move(response));
  return out;
}

}  // namespace broker::coordinator::group
