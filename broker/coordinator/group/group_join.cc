#include "broker/common/log.h"
#include "broker/coordinator/group/classic_join.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"

namespace broker::coordinator::group {

namespace {

using std::chrono::milliseconds;

void set_terms(Member& member, const protocol::JoinGroupRequest& request) {
  member.protocols = protocols_of(request);
  member.session_timeout = milliseconds(request.session_timeout_ms);
  // Version 0 has no rebalance timeout of its own.
  member.rebalance_timeout = request.rebalance_timeout_ms < 0
                                 ? member.session_timeout
                                 : milliseconds(request.rebalance_timeout_ms);
}

}  // namespace

std::vector<Protocol> protocols_of(const protocol::JoinGroupRequest& request) {
  std::vector<Protocol> protocols;
  for (const auto& each : request.protocols)
    protocols.push_back({.name = each.name, .metadata = Slice::copy_of(each.metadata.span())});
  return protocols;
}

Output GroupShard::join(const CallContext& call, const protocol::JoinGroupRequest& request,
                        const Now& now, JoinReply reply) {
  Output out;
  Join join{call, request, now, std::move(reply), out};
  const milliseconds session(request.session_timeout_ms);
  if (request.group_id.empty()) {
    join.refuse(ErrorCode::kInvalidGroupId);
    return out;
  }
  if (session < options_.min_session_timeout || session > options_.max_session_timeout) {
    join.refuse(ErrorCode::kInvalidSessionTimeout);
    return out;
  }
  if (!find(request.group_id)) {
    if (!request.member_id.empty()) {
      join.refuse(ErrorCode::kUnknownMemberId);
      return out;
    }
    // Checked here too, so that a refused request leaves no empty group behind.
    if (request.protocol_type.empty() || request.protocols.empty()) {
      join.refuse(ErrorCode::kInconsistentGroupProtocol);
      return out;
    }
  }
  Group& joined = group(request.group_id);
  if (joined.consumer) {
    join_consumer(*joined.consumer, join);
  } else if (!may_join(joined, request.member_id)) {
    drop_member(joined, request.member_id, ErrorCode::kGroupMaxSizeReached);
    join.refuse(ErrorCode::kGroupMaxSizeReached, "");
  } else if (!joined.supports(request.protocol_type, protocols_of(request))) {
    join.refuse(ErrorCode::kInconsistentGroupProtocol);
  } else if (request.member_id.empty()) {
    join_without_id(joined, join);
  } else {
    join_with_id(joined, join);
  }
  return out;
}

bool GroupShard::may_join(const Group& group, const std::string& member_id) const {
  const Member* member = group.find(member_id);
  switch (group.state) {
    case State::kEmpty:
      return true;
    case State::kPreparingRebalance:
      // Those who are back already count; who comes late to a group that is full by then is out.
      return (member && member->join_reply) || group.joined_count() < options_.max_group_size;
    case State::kCompletingRebalance:
    case State::kStable:
      return member || group.members.size() < options_.max_group_size;
  }
  return false;
}

std::string GroupShard::new_member_id(std::string_view prefix) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id(prefix);
  const auto bytes = Uuid::random(rng_).bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += kHex[bytes[i] >> 4];
    id += kHex[bytes[i] & 15];
  }
  return id;
}

void GroupShard::join_without_id(Group& group, Join& join) {
  const auto& instance_id = join.request.group_instance_id;
  if (instance_id) {
    if (Member* old = group.find_static(*instance_id))
      return replace_static_member(group, *old, join);
    return add_member(group, new_member_id(*instance_id), join);
  }
  std::string member_id = new_member_id(join.call.client_id);
  if (join.call.version < 4) return add_member(group, std::move(member_id), join);

  // KIP-394: the client learns its id before it becomes a member, so that one which never gets the
  // answer leaves no ghost behind.
  arm(group.pending_members[member_id],
      join.now.now + milliseconds(join.request.session_timeout_ms),
      {TimerKind::kPendingMember, group.id, member_id});
  join.refuse(ErrorCode::kMemberIdRequired, std::move(member_id));
}

void GroupShard::join_with_id(Group& group, Join& join) {
  const std::string& member_id = join.request.member_id;
  const auto& instance_id = join.request.group_instance_id;
  if (!instance_id && group.pending_members.contains(member_id))
    return add_member(group, member_id, join);
  const ErrorCode error = group.check_member(member_id, instance_id);
  if (error != ErrorCode::kNone) return join.refuse(error);
  rejoin(group, *group.find(member_id), join);
}

void GroupShard::rejoin(Group& group, Member& member, Join& join) {
  const bool same = member.protocols == protocols_of(join.request);
  const bool answer_again =
      same && (group.state == State::kCompletingRebalance ||
               // A leader that joins again wants a rebalance: topics may have changed.
               (group.state == State::kStable && !group.is_leader(member)));
  if (group.state == State::kEmpty) return join.refuse(ErrorCode::kUnknownMemberId);
  if (answer_again) {
    touch_session(group, member, join.now);
    return join.reply(group.joined(member));
  }
  set_terms(member, join.request);
  if (member.join_reply)  // the client gave up on its first request
    member.join_reply(join_error(member.id, ErrorCode::kRebalanceInProgress));
  member.join_reply = std::move(join.reply);
  rebalance_or_complete(group, join.now, join.out);
}

void GroupShard::add_member(Group& group, std::string member_id, Join& join) {
  if (group.members.empty()) group.protocol_type = join.request.protocol_type;
  Member member;
  member.id = member_id;
  member.instance_id = join.request.group_instance_id;
  member.client_id = join.call.client_id;
  member.client_host = join.call.client_host;
  set_terms(member, join.request);
  member.order = next_order_++;
  member.is_new = true;
  member.join_reply = std::move(join.reply);
  group.pending_members.erase(member_id);
  Member& added = group.members.emplace(member_id, std::move(member)).first->second;
  if (!group.leader) group.leader = added.id;
  if (group.initial_rebalance) group.member_added = true;
  // It cannot heartbeat while it waits for the others; a client that went away must not stay.
  arm(added.session, join.now.now + options_.new_member_join_timeout,
      {TimerKind::kSession, group.id, added.id});
  rebalance_or_complete(group, join.now, join.out);
}

// KIP-345: a restarted instance takes the place of its former self.
void GroupShard::replace_static_member(Group& group, Member& old, Join& join) {
  const std::string old_id = old.id;
  const std::optional<std::string> old_leader = group.leader;
  auto node = group.members.extract(old_id);
  Member& member = node.mapped();
  if (member.join_reply) member.join_reply(join_error(old_id, ErrorCode::kFencedInstanceId));
  if (member.sync_reply) member.sync_reply(sync_error(ErrorCode::kFencedInstanceId));
  member.join_reply = nullptr;
  member.sync_reply = nullptr;
  member.id = new_member_id(*member.instance_id);
  member.client_id = join.call.client_id;
  member.client_host = join.call.client_host;
  member.session = {};
  set_terms(member, join.request);
  node.key() = member.id;
  group.members.insert(std::move(node));
  if (group.leader == old_id) group.leader = member.id;
  touch_session(group, member, join.now);
  log_info("group", "static member replaced",
           {{"group", group.id}, {"instance", *member.instance_id}, {"member", member.id}});

  if (group.state != State::kStable || group.select_protocol() != group.protocol) {
    member.join_reply = std::move(join.reply);
    return rebalance_or_complete(group, join.now, join.out);
  }
  // Nothing changed for the others: no rebalance. The new id must outlive this coordinator.
  protocol::JoinGroupResponse response = group.joined(member);
  if (join.call.version >= 9) {
    response.skip_assignment = group.is_leader(member);
  } else {
    // It must not think that it leads: it would assign again, and nobody waits for that (KIP-814).
    response.leader = old_leader.value_or("");
    response.members.clear();
  }
  join.out.records.push_back(group_record(group, {}, group.state_since));
  join.out.on_committed.push_back(
      [reply = std::move(join.reply), response = std::move(response)](ErrorCode error) mutable {
        reply(error == ErrorCode::kNone ? std::move(response) : join_error("", error));
      });
}

}  // namespace broker::coordinator::group
