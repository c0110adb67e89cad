#include <algorithm>

#include "broker/common/log.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"

namespace broker::coordinator::group {

using std::chrono::milliseconds;

void GroupShard::rebalance_or_complete(Group& group, const Now& now, Output& out) {
  if (group.state == State::kPreparingRebalance)
    complete_join_if_all_joined(group, now, out);
  else
    prepare_rebalance(group, now, out);
}

void GroupShard::prepare_rebalance(Group& group, const Now& now, Output& out) {
  for (auto& [id, member] : group.members) {
    member.sync_pending = false;
    if (!member.sync_reply) continue;
    SyncReply reply = std::move(member.sync_reply);
    member.sync_reply = nullptr;
    reply(sync_error(ErrorCode::kRebalanceInProgress));
  }
  group.pending_sync.due.reset();
  const bool initial = group.state == State::kEmpty;
  group.state = State::kPreparingRebalance;
  if (!initial) return complete_join_if_all_joined(group, now, out);

  // A new group waits a moment, so that ten consumers starting together rebalance once, not ten
  // times.
  group.initial_rebalance = true;
  group.member_added = false;
  const milliseconds delay = options_.initial_rebalance_delay;
  group.initial_delay_left = std::max(group.rebalance_timeout() - delay, milliseconds(0));
  if (delay.count() <= 0) return complete_join(group, now, out);
  arm(group.join, now.now + delay, {TimerKind::kJoin, group.id, {}});
}

void GroupShard::complete_join_if_all_joined(Group& group, const Now& now, Output& out) {
  if (group.initial_rebalance) return;
  if (group.all_members_joined()) return complete_join(group, now, out);
  if (!group.join.due)
    arm(group.join, now.now + group.rebalance_timeout(), {TimerKind::kJoin, group.id, {}});
}

void GroupShard::on_join_deadline(Group& group, const Now& now, Output& out) {
  if (group.initial_rebalance && group.member_added && group.initial_delay_left.count() > 0) {
    group.member_added = false;
    const milliseconds delay = std::min(options_.initial_rebalance_delay, group.initial_delay_left);
    group.initial_delay_left -= delay;
    return arm(group.join, now.now + delay, {TimerKind::kJoin, group.id, {}});
  }
  complete_join(group, now, out);
}

void GroupShard::complete_join(Group& group, const Now& now, Output& out) {
  group.join.due.reset();
  group.initial_rebalance = false;
  std::vector<std::string> absent;
  for (const auto& [id, member] : group.members)
    if (!member.join_reply && !member.is_static()) absent.push_back(id);
  for (const std::string& id : absent) drop_member(group, id, ErrorCode::kUnknownMemberId);
  if (!group.members.empty() && !group.elect_joined_leader()) {
    // Only static members that are away: they keep their place until their sessions end.
    return arm(group.join, now.now + group.rebalance_timeout(), {TimerKind::kJoin, group.id, {}});
  }
  ++group.generation;
  if (group.members.empty()) {
    group.state = State::kEmpty;
    group.state_since = now.wall;
    group.protocol.reset();
    group.leader.reset();
    out.records.push_back(empty_group_record(group, now.wall));
    return;
  }
  group.protocol = group.select_protocol();
  group.state = State::kCompletingRebalance;
  log_info("group", "rebalance joined",
           {{"group", group.id},
            {"generation", group.generation},
            {"members", group.members.size()},
            {"leader", group.leader.value_or("")}});
  for (auto& [id, member] : group.members) {
    member.is_new = false;
    member.sync_pending = true;
    if (!member.join_reply) continue;
    touch_session(group, member, now);
    JoinReply reply = std::move(member.join_reply);
    member.join_reply = nullptr;
    reply(group.joined(member));
  }
  arm(group.pending_sync, now.now + group.rebalance_timeout(),
      {TimerKind::kPendingSync, group.id, {}});
}

void GroupShard::expire_pending_syncs(Group& group, const Now& now, Output& out) {
  if (group.state != State::kCompletingRebalance && group.state != State::kStable) return;
  std::vector<std::string> missing;
  for (const auto& [id, member] : group.members)
    if (member.sync_pending) missing.push_back(id);
  if (missing.empty()) return;
  log_info("group", "members did not sync in time",
           {{"group", group.id}, {"members", missing.size()}});
  for (const std::string& id : missing) drop_member(group, id, ErrorCode::kUnknownMemberId);
  prepare_rebalance(group, now, out);
}

void GroupShard::drop_member(Group& group, const std::string& member_id, ErrorCode answer) {
  const auto at = group.members.find(member_id);
  if (at == group.members.end()) return;
  auto node = group.members.extract(at);
  Member& member = node.mapped();
  if (group.leader == member_id) group.replace_missing_leader();
  if (member.join_reply) member.join_reply(join_error(member_id, answer));
  if (member.sync_reply) member.sync_reply(sync_error(answer));
}

void GroupShard::remove_member(Group& group, const std::string& member_id, const Now& now,
                               Output& out) {
  drop_member(group, member_id, ErrorCode::kUnknownMemberId);
  if (group.state != State::kEmpty) rebalance_or_complete(group, now, out);
}

void GroupShard::touch_session(Group& group, Member& member, const Now& now) {
  arm(member.session, now.now + member.session_timeout, {TimerKind::kSession, group.id, member.id});
}

}  // namespace broker::coordinator::group
