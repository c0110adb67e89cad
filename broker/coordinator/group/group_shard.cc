#include "broker/coordinator/group/group_shard.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/common/topic_name.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/records.h"
#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/group_metadata_key.h"
#include "broker/protocol/messages/group_metadata_value.h"
#include "broker/protocol/messages/offset_commit_key.h"
#include "broker/protocol/messages/offset_commit_value.h"

namespace broker::coordinator::group {

using std::chrono::milliseconds;

GroupShard::GroupShard(const GroupOptions& options, GroupPorts ports, std::uint64_t seed)
    : options_(options), ports_(std::move(ports)), rng_(seed) {}
GroupShard::~GroupShard() = default;

Group& GroupShard::group(const std::string& group_id) {
  return groups_.try_emplace(group_id, group_id).first->second;
}

Group* GroupShard::find_mutable(const std::string& group_id) {
  const auto at = groups_.find(group_id);
  return at == groups_.end() ? nullptr : &at->second;
}

const Group* GroupShard::find(const std::string& group_id) const {
  const auto at = groups_.find(group_id);
  return at == groups_.end() ? nullptr : &at->second;
}

GroupMetrics GroupShard::metrics() const {
  GroupMetrics metrics;
  metrics.groups = groups_.size();
  for (const auto& [id, group] : groups_) {
    if (!group.consumer) ++metrics.groups_by_state[group.state];
    metrics.members[id] = group.consumer ? group.consumer->members().size() : group.members.size();
    for (const auto& [at, offset] : group.offsets)
      metrics.offsets.push_back({id, at.first, at.second, offset.offset});
  }
  return metrics;
}

// --- Replay

namespace {

Member member_of(const protocol::GroupMetadataValue& group,
                 const protocol::GroupMetadataValue::MemberMetadata& value) {
  Member member;
  member.id = value.member_id;
  member.instance_id = value.group_instance_id;
  member.client_id = value.client_id;
  member.client_host = value.client_host;
  member.session_timeout = milliseconds(value.session_timeout);
  member.rebalance_timeout =
      milliseconds(value.rebalance_timeout < 0 ? value.session_timeout : value.rebalance_timeout);
  if (group.protocol)
    member.protocols = {{*group.protocol, Slice::copy_of(value.subscription.span())}};
  return member;
}

}  // namespace

Result<void> GroupShard::replay(const Record& record) {
  protocol::Reader key(record.key);
  const std::int16_t type = key.int16();
  if (!key.ok()) return key.status();
  if (type == kOffsetCommitKeyType || type == kLegacyOffsetCommitKeyType) {
    ASSIGN_OR_RETURN(const auto decoded, decode<protocol::OffsetCommitKey>(key, 0));
    ASSIGN_OR_RETURN(const auto value,
                     decode_value<protocol::OffsetCommitValue>(record, kGroupOffsetsTopic));
    return replay_offset(decoded, value);
  }
  if (type == kGroupMetadataKeyType) {
    ASSIGN_OR_RETURN(const auto decoded, decode<protocol::GroupMetadataKey>(key, 0));
    ASSIGN_OR_RETURN(const auto value,
                     decode_value<protocol::GroupMetadataValue>(record, kGroupOffsetsTopic));
    if (value) return replay_group(decoded, *value);
    remove_group(decoded.group);
    return {};
  }
  if (is_consumer_group_key(type)) return replay_consumer(type, key, record);
  // Records of group types that this broker does not have: left in the log for one that has them.
  log_debug("group", "skipping a record of unknown type", {{"type", type}});
  return {};
}

Result<void> GroupShard::replay_offset(const protocol::OffsetCommitKey& key,
                                       const std::optional<protocol::OffsetCommitValue>& value) {
  if (!value) {
    pending_.drop(key.group, {key.topic, key.partition});
    Group* known = find_mutable(key.group);
    if (!known) return {};
    known->offsets.erase({key.topic, key.partition});
    forget_if_unused(key.group);
    return {};
  }
  CommittedOffset& offset = group(key.group).offsets[{key.topic, key.partition}];
  offset = to_committed_offset(*value);
  offset.order = next_record_++;
  return {};
}

Result<void> GroupShard::replay_group(const protocol::GroupMetadataKey& key,
                                      const protocol::GroupMetadataValue& value) {
  Group& target = group(key.group);
  std::set<std::string> present;
  for (const auto& entry : value.members) {
    present.insert(entry.member_id);
    auto [at, created] = target.members.try_emplace(entry.member_id);
    if (created) {
      at->second = member_of(value, entry);
      at->second.order = next_order_++;
    }
    at->second.assignment = Slice::copy_of(entry.assignment.span());
  }
  std::vector<std::string> gone;
  for (const auto& [id, member] : target.members)
    if (!present.contains(id)) gone.push_back(id);
  for (const std::string& id : gone) drop_member(target, id, ErrorCode::kUnknownMemberId);
  target.protocol_type = value.protocol_type;
  target.generation = value.generation;
  target.protocol = value.protocol;
  target.leader = value.leader;
  target.state_since = value.current_state_timestamp;
  target.state = target.members.empty() ? State::kEmpty : State::kStable;
  return {};
}

void GroupShard::remove_group(const std::string& group_id) {
  Group* known = find_mutable(group_id);
  if (!known) return;
  while (!known->members.empty())
    drop_member(*known, known->members.begin()->first, ErrorCode::kUnknownMemberId);
  // Offsets have tombstones of their own: a group that changes its protocol keeps them.
  Group left(group_id);
  left.offsets = std::move(known->offsets);
  left.consumer = std::move(known->consumer);
  *known = std::move(left);
  forget_if_unused(group_id);
}

void GroupShard::forget_if_unused(const std::string& group_id) {
  const Group* known = find(group_id);
  // A simple group is its offsets.
  if (known && known->is_unused() && known->generation == 0) groups_.erase(group_id);
}

// --- Time

void GroupShard::on_loaded(const Now& now) {
  for (auto& [id, group] : groups_) {
    if (has_defect(Defect::kSessionsForgotten)) break;
    for (auto& [member_id, member] : group.members) touch_session(group, member, now);
    if (group.consumer) arm_consumer_group(id, *group.consumer, now);
  }
  next_expiry_check_ = now.now + options_.offsets_retention_check_interval;
}

void GroupShard::arm(Deadline& deadline, Instant due, Timer timer) {
  deadline.due = due;
  // An entry that comes too early is put in again when it fires; one too late must be preceded.
  if (deadline.armed && *deadline.armed <= due) return;
  deadline.armed = due;
  timers_.emplace(due, std::move(timer));
}

Deadline* GroupShard::deadline_of(const Timer& timer) {
  if (timer.kind >= TimerKind::kConsumerSession) return consumer_deadline_of(timer);
  Group* known = find_mutable(timer.group_id);
  if (!known) return nullptr;
  switch (timer.kind) {
    case TimerKind::kSession: {
      Member* member = known->find(timer.member_id);
      return member ? &member->session : nullptr;
    }
    case TimerKind::kPendingMember: {
      const auto at = known->pending_members.find(timer.member_id);
      return at == known->pending_members.end() ? nullptr : &at->second;
    }
    case TimerKind::kJoin:
      return &known->join;
    case TimerKind::kPendingSync:
      return &known->pending_sync;
    default:
      return nullptr;
  }
}

std::optional<Instant> GroupShard::wake_at() const {
  if (timers_.empty()) return next_expiry_check_;
  return std::min(timers_.begin()->first, next_expiry_check_);
}

Output GroupShard::tick(const Now& now) {
  Output out;
  while (!timers_.empty() && timers_.begin()->first <= now.now) {
    auto entry = timers_.extract(timers_.begin());
    const Timer& timer = entry.mapped();
    Deadline* deadline = deadline_of(timer);
    if (!deadline || deadline->armed != entry.key()) continue;  // of something that is gone
    deadline->armed.reset();
    if (!deadline->due) continue;
    const Instant due = *deadline->due;
    if (due > now.now) {
      arm(*deadline, due, timer);
      continue;
    }
    deadline->due.reset();
    fire(timer, now, out);
  }
  if (now.now >= next_expiry_check_) expire_offsets(now, out);
  return out;
}

void GroupShard::fire(const Timer& timer, const Now& now, Output& out) {
  if (timer.kind >= TimerKind::kConsumerSession) return fire_consumer(timer, now, out);
  Group& expired = *find_mutable(timer.group_id);
  switch (timer.kind) {
    case TimerKind::kSession: {
      Member& member = *expired.find(timer.member_id);
      // Who waits for an answer cannot heartbeat meanwhile; a newcomer only for so long.
      if (!member.is_new && (member.join_reply || member.sync_reply))
        return touch_session(expired, member, now);
      log_info("group", "member's session expired",
               {{"group", expired.id}, {"member", timer.member_id}});
      return remove_member(expired, timer.member_id, now, out);
    }
    case TimerKind::kPendingMember:
      expired.pending_members.erase(timer.member_id);
      if (expired.state == State::kPreparingRebalance)
        complete_join_if_all_joined(expired, now, out);
      return;
    case TimerKind::kJoin:
      return on_join_deadline(expired, now, out);
    case TimerKind::kPendingSync:
      return expire_pending_syncs(expired, now, out);
    default:
      return;
  }
}

void GroupShard::resign(ErrorCode reason) {
  for (auto& [id, group] : groups_) {
    for (auto& [member_id, member] : group.members) {
      if (member.join_reply) member.join_reply(join_error(member_id, reason));
      if (member.sync_reply) member.sync_reply(sync_error(reason));
    }
  }
  groups_.clear();
  timers_.clear();
  consumer_timers_.clear();
  downgraded_.clear();
}

}  // namespace broker::coordinator::group
