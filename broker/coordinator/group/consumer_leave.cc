// Members of consumer groups that leave or are lost, and the deadlines that they have.
#include "broker/common/log.h"
#include "broker/coordinator/group/consumer_beat.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/metadata_hash.h"

namespace broker::coordinator::group {

using protocol::ConsumerGroupHeartbeatRequest;
using protocol::ConsumerGroupHeartbeatResponse;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kRemovalRetry{500};  // as Kafka's timers do

}  // namespace

Result<void> check_instance(const ConsumerMember* owner, const std::string& member_id,
                            const std::string& instance_id) {
  if (!owner)
    return Error{ErrorCode::kUnknownMemberId, "Instance id " + instance_id + " is unknown."};
  if (owner->id == member_id) return {};
  return Error{ErrorCode::kFencedInstanceId, "Static member " + member_id + " with instance id " +
                                                 instance_id + " was fenced by member " +
                                                 owner->id + "."};
}

Error unknown_member(const std::string& group_id, const std::string& member_id) {
  return {ErrorCode::kUnknownMemberId,
          "Member " + member_id + " is not a member of group " + group_id + "."};
}

Result<ConsumerGroupHeartbeatResponse> GroupShard::consumer_leave(
    Beat& beat, const ConsumerGroupHeartbeatRequest& request) {
  const Group* known = find(beat.group_id);
  if (!known || !known->consumer)
    return Error{ErrorCode::kGroupIdNotFound,
                 known ? "Group " + beat.group_id + " is not a consumer group."
                       : "Group " + beat.group_id + " not found."};
  const ConsumerGroup& group = *known->consumer;
  const ConsumerMember* member = group.find(request.member_id);
  if (request.instance_id) {
    member = group.find_static(request.instance_id);
    RETURN_IF_ERROR(check_instance(member, request.member_id, *request.instance_id));
  } else if (!member) {
    return unknown_member(beat.group_id, request.member_id);
  }
  ConsumerGroupHeartbeatResponse response;
  response.member_id = request.member_id;
  response.member_epoch = request.member_epoch;
  if (request.instance_id && request.member_epoch == kStaticLeaveEpoch) {
    ConsumerMember away = *member;
    away.epoch = kStaticLeaveEpoch;
    away.pending_revocation.clear();
    beat.out.records.push_back(consumer_current_record(beat.group_id, away));
  } else {
    remove_consumer_members(beat.group_id, group, {member->id}, beat.now, beat.out);
  }
  log_info(
      "group", "consumer left",
      {{"group", beat.group_id}, {"member", request.member_id}, {"epoch", request.member_epoch}});
  return response;
}

void GroupShard::remove_consumer_members(const std::string& group_id, const ConsumerGroup& group,
                                         const std::set<std::string>& members, const Now& now,
                                         Output& out) {
  if (members.empty()) return;
  if (may_downgrade(group_id, group, members, group.members().size() - members.size()))
    return downgrade(group_id, group, members, nullptr, true, now, out);
  for (const std::string& id : members) remove_consumer_member(group_id, id, out.records);
  const MemberChange change{nullptr, members};
  const auto subscribed = group.regexes_after(change);
  for (const auto& [regex, count] : group.regex_counts())
    if (!subscribed.contains(regex))
      out.records.push_back(consumer_regex_tombstone(group_id, regex));
  const std::int64_t hash = metadata_hash(group.subscribed_topics(change), *ports_.image());
  out.records.push_back(consumer_epoch_record(group_id, group.epoch + 1, hash));
  for (const std::string& id : members) expect_removal(group_id, id, now);
}

void GroupShard::expect_removal(const std::string& group_id, const std::string& member_id,
                                const Now& now) {
  ConsumerTimers& timers = consumer_timers_[{group_id, member_id}];
  timers.rebalance.due.reset();
  timers.join.due.reset();
  timers.sync.due.reset();
  touch_consumer_session(group_id, member_id, kRemovalRetry, now);
}

void GroupShard::expel_consumer(const std::string& group_id, const std::string& member_id,
                                std::string_view why, const Now& now, Output& out) {
  const Group* known = find(group_id);
  if (!known || !known->consumer || !known->consumer->find(member_id)) {
    consumer_timers_.erase({group_id, member_id});
    return;
  }
  log_info("group", "consumer fenced",
           {{"group", group_id}, {"member", member_id}, {"because", why}});
  remove_consumer_members(group_id, *known->consumer, {member_id}, now, out);
}

// --- Settings and timers

Deadline* GroupShard::consumer_deadline_of(const Timer& timer) {
  if (timer.kind == TimerKind::kDowngraded) {
    const auto at = downgraded_.find(timer.group_id);
    return at == downgraded_.end() ? nullptr : &at->second.deadline;
  }
  const auto at = consumer_timers_.find({timer.group_id, timer.member_id});
  if (at == consumer_timers_.end()) return nullptr;
  switch (timer.kind) {
    case TimerKind::kConsumerSession:
      return &at->second.session;
    case TimerKind::kConsumerRebalance:
      return &at->second.rebalance;
    case TimerKind::kConsumerJoin:
      return &at->second.join;
    case TimerKind::kConsumerSync:
      return &at->second.sync;
    default:
      return nullptr;
  }
}

void GroupShard::fire_consumer(const Timer& timer, const Now& now, Output& out) {
  const auto expel = [&](std::string_view why) {
    expel_consumer(timer.group_id, timer.member_id, why, now, out);
  };
  switch (timer.kind) {
    case TimerKind::kConsumerSession:
      return expel("its session expired");
    case TimerKind::kConsumerJoin:
      return expel("it did not join again in time");
    case TimerKind::kConsumerSync:
      return expel("it did not sync in time");
    case TimerKind::kDowngraded:
      return on_downgraded(timer.group_id, now, out);
    default:
      break;
  }
  const ConsumerGroup* group = find_consumer_group(timer.group_id);
  const ConsumerMember* member = group ? group->find(timer.member_id) : nullptr;
  const auto at = consumer_timers_.find({timer.group_id, timer.member_id});
  if (member && at != consumer_timers_.end() && member->epoch == at->second.rebalance_epoch)
    expel("it kept what was revoked");
}

ConsumerSettings GroupShard::consumer_settings(const std::string& group_id,
                                               const metadata::MetadataImage& image) const {
  return options_.consumer.settings_of(group_id, image.configs);
}

void GroupShard::touch_consumer_session(const std::string& group_id, const std::string& member_id,
                                        milliseconds timeout, const Now& now) {
  arm(consumer_timers_[{group_id, member_id}].session, now.now + timeout,
      {TimerKind::kConsumerSession, group_id, member_id});
}

void GroupShard::arm_consumer_group(const std::string& group_id, const ConsumerGroup& group,
                                    const Now& now) {
  const ConsumerSettings settings = consumer_settings(group_id, *ports_.image());
  for (const auto& [id, member] : group.members()) {
    touch_consumer_session(group_id, id,
                           member.classic ? milliseconds(member.classic->session_timeout_ms)
                                          : settings.session_timeout,
                           now);
    if (member.state != MemberState::kUnrevokedPartitions || member.classic) continue;
    ConsumerTimers& timers = consumer_timers_[{group_id, id}];
    timers.rebalance_epoch = member.epoch;
    arm(timers.rebalance, now.now + milliseconds(member.rebalance_timeout_ms),
        {TimerKind::kConsumerRebalance, group_id, id});
  }
}

}  // namespace broker::coordinator::group
