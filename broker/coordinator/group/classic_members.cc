// Members of consumer groups that still speak the classic protocol: during an upgrade or a
// downgrade both kinds live in one group. A generation is a member epoch.
#include "broker/common/log.h"
#include "broker/coordinator/group/classic_join.h"
#include "broker/coordinator/group/consumer_beat.h"
#include "broker/coordinator/group/consumer_protocol.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/sync_group_request.h"

namespace broker::coordinator::group {

using std::chrono::milliseconds;

namespace {

ConsumerMember updated_by(const ConsumerMember& member, const CallContext& call,
                          const protocol::JoinGroupRequest& request,
                          const protocol::ConsumerProtocolSubscription& subscription) {
  ConsumerMember next = member;
  if (request.group_instance_id) next.instance_id = request.group_instance_id;
  if (subscription.rack_id && !subscription.rack_id->empty()) next.rack_id = subscription.rack_id;
  if (request.rebalance_timeout_ms != -1) next.rebalance_timeout_ms = request.rebalance_timeout_ms;
  next.topics = {subscription.topics.begin(), subscription.topics.end()};
  next.regex = "";  // the client resolves its own
  next.client_id = call.client_id;
  next.client_host = call.client_host;
  next.classic = ClassicTerms{request.session_timeout_ms, protocols_of(request)};
  return next;
}

OwnedTopics owned_by(const protocol::ConsumerProtocolSubscription& subscription,
                     const metadata::MetadataImage& image) {
  OwnedTopics owned;
  for (const auto& entry : subscription.owned_partitions)
    if (const auto* topic = image.topics.find(std::string_view(entry.topic)))
      owned.push_back({.topic_id = topic->id, .partitions = entry.partitions});
  return owned;
}

Result<const ConsumerMember*> find_classic(const ConsumerGroup& group, const std::string& member_id,
                                           const std::optional<std::string>& instance_id) {
  const ConsumerMember* member =
      instance_id ? group.find_static(instance_id) : group.find(member_id);
  if (!member) return Error{ErrorCode::kUnknownMemberId, {}};
  if (instance_id) RETURN_IF_ERROR(check_instance(member, member_id, *instance_id));
  if (!member->classic) return Error{ErrorCode::kUnknownMemberId, {}};
  return member;
}

bool waits_for_others(const ConsumerGroup& group, const ConsumerMember& member) {
  const auto target = group.target.find(member.id);
  if (member.state != MemberState::kUnreleasedPartitions || target == group.target.end())
    return false;
  for (const auto& [topic, partitions] : target->second) {
    const auto assigned = member.assigned.find(topic);
    for (const std::int32_t partition : partitions) {
      const bool has = assigned != member.assigned.end() && assigned->second.contains(partition);
      if (!has && group.partition_epoch(topic, partition) != -1) return true;
    }
  }
  return false;
}

}  // namespace

void GroupShard::join_consumer(const ConsumerGroup& group, Join& join) {
  const auto& request = join.request;
  const bool unknown = request.member_id.empty();
  const std::string member_id = unknown ? Uuid::random(rng_).to_string() : request.member_id;
  if (options_.consumer.migration == MigrationPolicy::kDisabled)
    return join.refuse(ErrorCode::kInconsistentGroupProtocol);
  if (!check_room(group, member_id).ok()) return join.refuse(ErrorCode::kGroupMaxSizeReached, "");
  if (!group.supports_classic(request.protocol_type, protocols_of(request)))
    return join.refuse(ErrorCode::kInconsistentGroupProtocol);
  if (unknown && !request.group_instance_id && join.call.version >= 4)
    return join.refuse(ErrorCode::kMemberIdRequired, member_id);
  const Result<Subscription> subscription = parse_subscription(request.protocols.front().metadata);
  if (!subscription.ok()) return join.refuse(ErrorCode::kUnknownServerError);

  const std::size_t records_before = join.out.records.size();
  Beat beat{request.group_id, join.call, {}, join.now, ports_.image(), join.out};
  Result<Seat> seat = take_classic_seat(beat, group, request, member_id);
  if (!seat.ok()) return join.refuse(seat.error().code);
  ConsumerMember updated = updated_by(seat->member, join.call, request, subscription->message);
  if (updated != seat->member)
    beat.out.records.push_back(consumer_member_record(beat.group_id, updated));
  const Result<RegexChange> regex = update_regexes(beat, group, *seat, updated);
  const bool bump = updated.topics != seat->member.topics || *regex != RegexChange::kNone;
  const MemberChange change{&updated, seat->gone};
  const ConsumerSettings settings = consumer_settings(beat.group_id, *beat.image);
  const std::int32_t epoch = update_group_epoch(beat, group, change, bump);
  const OwnedTopics owned = owned_by(subscription->message, *beat.image);

  // The last member of the consumer protocol came back with the classic one.
  const ConsumerMember* before = group.find_static(request.group_instance_id);
  const bool last = before && !before->classic &&
                    may_downgrade(beat.group_id, group, {before->id}, group.members().size());
  const bool stale = group.assignment_epoch < epoch;
  const Target target = last ? Target{group.assignment_epoch, group.target_of(updated)}
                             : update_target(beat, group, change, epoch, settings);
  if (!last || !stale) {
    const Result<void> moved = move_to_target(beat, group, updated, target, bump, owned);
    if (!moved.ok()) {
      join.out.records.resize(records_before);
      return join.refuse(moved.error().code);
    }
  }
  protocol::JoinGroupResponse response;
  response.member_id = updated.id;
  response.generation_id = updated.epoch;
  response.protocol_type = "consumer";
  response.protocol_name = updated.classic->protocols.front().name;
  if (last) {
    join.out.records.resize(records_before);
    downgrade(beat.group_id, group, {before->id}, &updated, stale, join.now, join.out);
  } else {
    ConsumerTimers& timers = consumer_timers_[{beat.group_id, updated.id}];
    timers.join.due.reset();
    touch_consumer_session(beat.group_id, updated.id, milliseconds(request.session_timeout_ms),
                           join.now);
    arm(timers.sync, join.now.now + milliseconds(updated.rebalance_timeout_ms),
        {TimerKind::kConsumerSync, beat.group_id, updated.id});
  }
  join.out.on_committed.push_back([reply = std::move(join.reply),
                                   response = std::move(response)](ErrorCode error) mutable {
    reply(error == ErrorCode::kNone ? std::move(response) : join_error(response.member_id, error));
  });
}

Result<GroupShard::Seat> GroupShard::take_classic_seat(Beat& beat, const ConsumerGroup& group,
                                                       const protocol::JoinGroupRequest& request,
                                                       const std::string& member_id) {
  const ConsumerMember* owner = group.find_static(request.group_instance_id);
  if (owner && request.member_id.empty()) return replace_static(beat, group, *owner, member_id);
  if (request.group_instance_id && !request.member_id.empty()) {
    RETURN_IF_ERROR(check_instance(owner, member_id, *request.group_instance_id));
    return Seat{*owner, {}};
  }
  const ConsumerMember* known = group.find(member_id);
  return Seat{known ? *known : ConsumerMember{.id = member_id}, {}};
}

void GroupShard::await_classic_join(const std::string& group_id, const ConsumerMember& member,
                                    const Now& now) {
  Deadline& deadline = consumer_timers_[{group_id, member.id}].join;
  if (!deadline.due)
    arm(deadline, now.now + milliseconds(member.rebalance_timeout_ms),
        {TimerKind::kConsumerJoin, group_id, member.id});
}

Output GroupShard::sync_consumer(const ConsumerGroup& group,
                                 const protocol::SyncGroupRequest& request, const Now& now,
                                 SyncReply reply) {
  const Result<const ConsumerMember*> found =
      find_classic(group, request.member_id, request.group_instance_id);
  ErrorCode error = found.code();
  if (error == ErrorCode::kNone) {
    const ConsumerMember& member = **found;
    const std::string& protocol = member.classic->protocols.front().name;
    if (request.generation_id != member.epoch) {
      error = ErrorCode::kIllegalGeneration;
    } else if ((request.protocol_type && *request.protocol_type != "consumer") ||
               (request.protocol_name && *request.protocol_name != protocol)) {
      error = ErrorCode::kInconsistentGroupProtocol;
    } else if (group.assignment_epoch > member.epoch &&
               member.state != MemberState::kUnrevokedPartitions) {
      await_classic_join(request.group_id, member, now);
      error = ErrorCode::kRebalanceInProgress;
    }
  }
  if (error != ErrorCode::kNone) {
    reply(sync_error(error));
    return {};
  }
  const ConsumerMember& member = **found;
  consumer_timers_[{request.group_id, member.id}].sync.due.reset();
  touch_consumer_session(request.group_id, member.id,
                         milliseconds(member.classic->session_timeout_ms), now);
  assignor::Assignment assignment;
  for (const auto& [topic, partitions] : member.assigned)
    for (const auto& [partition, since] : partitions) assignment[topic].insert(partition);
  const Result<Subscription> asked = parse_subscription(member.classic->protocols.front().metadata);
  protocol::SyncGroupResponse response;
  response.protocol_type = request.protocol_type;
  response.protocol_name = request.protocol_name;
  response.assignment =
      assignment_bytes(assignment, asked.ok() ? asked->version : 0, *ports_.image());
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(response)](ErrorCode failure) mutable {
        reply(failure == ErrorCode::kNone ? std::move(response) : sync_error(failure));
      });
  return out;
}

ErrorCode GroupShard::heartbeat_consumer(const ConsumerGroup& group,
                                         const protocol::HeartbeatRequest& request,
                                         const Now& now) {
  const Result<const ConsumerMember*> found =
      find_classic(group, request.member_id, request.group_instance_id);
  if (!found.ok()) return found.error().code;
  const ConsumerMember& member = **found;
  if (request.generation_id != member.epoch) return ErrorCode::kIllegalGeneration;
  touch_consumer_session(request.group_id, member.id,
                         milliseconds(member.classic->session_timeout_ms), now);
  // By joining again it tells what it let go of, and learns what it got.
  const bool has_to_join =
      member.epoch < group.assignment_epoch || member.state == MemberState::kUnrevokedPartitions ||
      (member.state == MemberState::kUnreleasedPartitions && !waits_for_others(group, member));
  if (!has_to_join) return ErrorCode::kNone;
  await_classic_join(request.group_id, member, now);
  return ErrorCode::kRebalanceInProgress;
}

Output GroupShard::leave_consumer(const CallContext& call, const ConsumerGroup& group,
                                  const protocol::LeaveGroupRequest& request, const Now& now,
                                  Reply<protocol::LeaveGroupResponse> reply) {
  Output out;
  std::set<std::string> leaving;
  const auto leave_one = [&](const std::string& member_id,
                             const std::optional<std::string>& instance_id) {
    const ConsumerMember* member =
        instance_id ? group.find_static(instance_id) : group.find(member_id);
    if (!member) return ErrorCode::kUnknownMemberId;
    // An administrator names static members by instance id alone.
    if (instance_id && !member_id.empty() && member->id != member_id)
      return ErrorCode::kFencedInstanceId;
    leaving.insert(member->id);
    return ErrorCode::kNone;
  };
  protocol::LeaveGroupResponse response;
  if (call.version < 3) {
    response.error_code = static_cast<std::int16_t>(leave_one(request.member_id, std::nullopt));
  } else {
    for (const auto& member : request.members)
      response.members.push_back({.member_id = member.member_id,
                                  .group_instance_id = member.group_instance_id,
                                  .error_code = static_cast<std::int16_t>(
                                      leave_one(member.member_id, member.group_instance_id))});
  }
  remove_consumer_members(request.group_id, group, leaving, now, out);
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(response)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          response = {};
          response.error_code = static_cast<std::int16_t>(error);
        }
        reply(std::move(response));
      });
  return out;
}

}  // namespace broker::coordinator::group
