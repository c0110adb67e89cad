// ConsumerGroupHeartbeat of members that come, stay and go (KIP-848).
#include <algorithm>

#include "broker/common/log.h"
#include "broker/coordinator/group/consumer_beat.h"
#include "broker/coordinator/group/consumer_reconcile.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/consumer_target.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/metadata_hash.h"
#include "broker/coordinator/group/records.h"

namespace broker::coordinator::group {

using protocol::ConsumerGroupHeartbeatRequest;
using protocol::ConsumerGroupHeartbeatResponse;
using std::chrono::milliseconds;

namespace {

Error fenced(std::string_view how, std::int32_t received, std::int32_t known) {
  return {ErrorCode::kFencedMemberEpoch,
          "The consumer group member has a " + std::string(how) + " member epoch (" +
              std::to_string(received) + ") than the one known by the group coordinator (" +
              std::to_string(known) + "). The member must abandon all its partitions and rejoin."};
}

Result<void> check_epoch(const ConsumerMember& member,
                         const ConsumerGroupHeartbeatRequest& request) {
  const std::int32_t received = request.member_epoch;
  if (received == kJoinEpoch || received == member.epoch) return {};
  if (received > member.epoch) return fenced("greater", received, member.epoch);
  // The answer that told of the new epoch may have been lost.
  if (received == member.previous_epoch && owns_only(request.topic_partitions, member.assigned))
    return {};
  return fenced("smaller", received, member.epoch);
}

ConsumerMember updated_by(const ConsumerMember& member, const CallContext& call,
                          const ConsumerGroupHeartbeatRequest& request) {
  ConsumerMember next = member;
  if (request.instance_id) next.instance_id = request.instance_id;
  if (request.rack_id) next.rack_id = request.rack_id;
  if (request.rebalance_timeout_ms != -1) next.rebalance_timeout_ms = request.rebalance_timeout_ms;
  if (request.server_assignor) next.assignor = request.server_assignor;
  if (request.subscribed_topic_names)
    next.topics = {request.subscribed_topic_names->begin(), request.subscribed_topic_names->end()};
  if (request.subscribed_topic_regex) next.regex = request.subscribed_topic_regex;
  next.client_id = call.client_id;
  next.client_host = call.client_host;
  next.classic.reset();
  return next;
}

ConsumerGroupHeartbeatResponse::Assignment to_response(const OwnedPartitions& owned) {
  ConsumerGroupHeartbeatResponse::Assignment assignment;
  for (const auto& [topic, partitions] : owned) {
    auto& entry = assignment.topic_partitions.emplace_back();
    entry.topic_id = topic;
    for (const auto& [partition, epoch] : partitions) entry.partitions.push_back(partition);
  }
  return assignment;
}

// A full request has every field that may be left out when nothing changed.
bool is_full(const ConsumerGroupHeartbeatRequest& request) {
  return request.rebalance_timeout_ms != -1 &&
         (request.subscribed_topic_names || request.subscribed_topic_regex) &&
         request.topic_partitions;
}

}  // namespace

Output GroupShard::consumer_heartbeat(const CallContext& call,
                                      const ConsumerGroupHeartbeatRequest& request,
                                      TopicFilter may_see, const Now& now,
                                      Reply<ConsumerGroupHeartbeatResponse> reply) {
  Output out;
  Beat beat{request.group_id, call, std::move(may_see), now, ports_.image(), out};
  Result<ConsumerGroupHeartbeatResponse> response =
      request.member_epoch < 0 ? consumer_leave(beat, request) : consumer_beat(beat, request);
  if (!response.ok()) {
    ConsumerGroupHeartbeatResponse refused;
    refused.error_code = static_cast<std::int16_t>(response.error().code);
    refused.error_message = response.error().detail;
    reply(std::move(refused));
    return {};
  }
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(*response)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          response = {};
          response.error_code = static_cast<std::int16_t>(
              error == ErrorCode::kMessageTooLarge ? ErrorCode::kUnknownServerError : error);
        }
        reply(std::move(response));
      });
  return out;
}

Result<ConsumerGroupHeartbeatResponse> GroupShard::consumer_beat(
    Beat& beat, const ConsumerGroupHeartbeatRequest& request) {
  const bool joining = request.member_epoch == kJoinEpoch;
  ASSIGN_OR_RETURN(const ConsumerGroup* group, group_for_beat(beat, joining));
  const ConsumerSettings settings = consumer_settings(beat.group_id, *beat.image);
  RETURN_IF_ERROR(check_room(*group, request.member_id));
  const std::string member_id =
      request.member_id.empty() ? Uuid::random(rng_).to_string() : request.member_id;
  ASSIGN_OR_RETURN(Seat seat, take_seat(beat, *group, request, member_id));

  ConsumerMember updated = updated_by(seat.member, beat.call, request);
  if (updated != seat.member)
    beat.out.records.push_back(consumer_member_record(beat.group_id, updated));
  const bool names_changed = updated.topics != seat.member.topics;
  MemberChange change{&updated, seat.gone};
  ASSIGN_OR_RETURN(const RegexChange regex, update_regexes(beat, *group, seat, updated));

  const bool bump = names_changed || regex == RegexChange::kResolved;
  const std::int32_t epoch = update_group_epoch(beat, *group, change, bump);
  const Target target = update_target(beat, *group, change, epoch, settings);
  RETURN_IF_ERROR(move_to_target(beat, *group, updated, target,
                                 names_changed || regex != RegexChange::kNone,
                                 request.topic_partitions));
  touch_consumer_session(beat.group_id, updated.id, settings.session_timeout, beat.now);

  ConsumerGroupHeartbeatResponse response;
  response.member_id = updated.id;
  response.member_epoch = updated.epoch;
  response.heartbeat_interval_ms = static_cast<std::int32_t>(settings.heartbeat_interval.count());
  if (joining || is_full(request) || updated.assigned != seat.member.assigned)
    response.assignment = to_response(updated.assigned);
  return response;
}

Result<const ConsumerGroup*> GroupShard::group_for_beat(Beat& beat, bool joining) {
  Group* known = find_mutable(beat.group_id);
  if (known && known->consumer) return known->consumer.get();
  if (!joining)
    return Error{ErrorCode::kGroupIdNotFound,
                 known ? "Group " + beat.group_id + " is not a consumer group."
                       : "Consumer group " + beat.group_id + " not found."};
  beat.made.emplace();
  if (!known) return &*beat.made;
  if (known->state != State::kEmpty) {
    RETURN_IF_ERROR(upgrade(*known, beat));
    return &*beat.made;
  }
  log_info("group", "empty classic group becomes a consumer group", {{"group", beat.group_id}});
  beat.out.records.push_back(group_tombstone(beat.group_id));
  return &*beat.made;
}

Result<void> GroupShard::check_room(const ConsumerGroup& group,
                                    const std::string& member_id) const {
  if (group.members().size() < options_.consumer.max_size || group.find(member_id)) return {};
  return Error{ErrorCode::kGroupMaxSizeReached,
               "The consumer group has reached its maximum capacity of " +
                   std::to_string(options_.consumer.max_size) + " members."};
}

Result<GroupShard::Seat> GroupShard::take_seat(Beat& beat, const ConsumerGroup& group,
                                               const ConsumerGroupHeartbeatRequest& request,
                                               const std::string& member_id) {
  const bool joining = request.member_epoch == kJoinEpoch;
  const ConsumerMember* known = group.find(member_id);
  if (!request.instance_id) {
    if (!known && !joining) return unknown_member(beat.group_id, member_id);
    Seat seat{known ? *known : ConsumerMember{.id = member_id}, {}};
    RETURN_IF_ERROR(check_epoch(seat.member, request));
    return seat;
  }
  const ConsumerMember* owner = group.find_static(request.instance_id);
  if (!joining) {
    RETURN_IF_ERROR(check_instance(owner, member_id, *request.instance_id));
    RETURN_IF_ERROR(check_epoch(*owner, request));
    return Seat{*owner, {}};
  }
  if (!owner) return Seat{known ? *known : ConsumerMember{.id = member_id}, {}};
  // Its former self has to have left, unless it spoke the classic protocol, which has no such word.
  if (!owner->classic && owner->epoch != kStaticLeaveEpoch)
    return Error{ErrorCode::kUnreleasedInstanceId,
                 "Static member " + member_id + " with instance id " + *request.instance_id +
                     " cannot join the group because the instance id is owned by " + owner->id +
                     " member."};
  return replace_static(beat, group, *owner, member_id);
}

GroupShard::Seat GroupShard::replace_static(Beat& beat, const ConsumerGroup& group,
                                            const ConsumerMember& old,
                                            const std::string& member_id) {
  Seat seat{old, {}};
  seat.member.id = member_id;
  seat.member.epoch = 0;
  seat.member.previous_epoch = 0;
  if (old.id != member_id) seat.gone.insert(old.id);
  auto& records = beat.out.records;
  remove_consumer_member(beat.group_id, old.id, records);
  records.push_back(consumer_member_record(beat.group_id, seat.member));
  records.push_back(consumer_target_record(beat.group_id, member_id, group.target_of(old)));
  records.push_back(consumer_current_record(beat.group_id, seat.member));
  log_info("group", "static member replaced",
           {{"group", beat.group_id}, {"instance", *old.instance_id}, {"member", member_id}});
  return seat;
}

std::int32_t GroupShard::update_group_epoch(Beat& beat, const ConsumerGroup& group,
                                            const MemberChange& change, bool bump) {
  ConsumerGroup* kept = find_consumer_group(beat.group_id);
  std::int32_t epoch = group.epoch;
  if (!bump && kept && !metadata_changed(*kept, *beat.image)) return epoch;
  const std::int64_t hash = metadata_hash(group.subscribed_topics(change), *beat.image);
  if (bump || hash != group.metadata_hash) {
    beat.out.records.push_back(consumer_epoch_record(beat.group_id, ++epoch, hash));
    log_info("group", "consumer group bumped", {{"group", beat.group_id}, {"epoch", epoch}});
  }
  if (kept) {
    kept->topics_seen = beat.image->topics;
    kept->epoch_seen = epoch;
  }
  if (group.has_partition_metadata)
    beat.out.records.push_back(consumer_partition_metadata_tombstone(beat.group_id));
  return epoch;
}

bool GroupShard::metadata_changed(ConsumerGroup& group, const metadata::MetadataImage& image) {
  // A higher epoch was decided but not written: the comparison did not count.
  if (!group.topics_seen || group.epoch < group.epoch_seen) return true;
  bool changed = false;
  std::optional<std::set<std::string>> subscribed;
  using Topics = decltype(image.topics.by_id);
  Topics::diff(
      group.topics_seen->by_id, image.topics.by_id,
      [&](const TopicId&, const metadata::TopicImage* before, const metadata::TopicImage* after) {
        if (!subscribed) subscribed = group.subscribed_topics();
        changed = changed || subscribed->contains(after ? after->name : before->name);
      });
  if (!changed) group.topics_seen = image.topics;
  return changed;
}

GroupShard::Target GroupShard::update_target(Beat& beat, const ConsumerGroup& group,
                                             const MemberChange& change, std::int32_t epoch,
                                             const ConsumerSettings& settings) {
  const bool rested =
      group.assignment_timestamp == 0 || settings.assignment_interval.count() == 0 ||
      beat.now.wall >= group.assignment_timestamp + settings.assignment_interval.count();
  if (group.assignment_epoch >= epoch || !rested)
    return {group.assignment_epoch, group.target_of(*change.member)};
  const std::string name =
      group.preferred_assignor(change).value_or(options_.consumer.assignors.front());
  const assignor::Assignor assign = assignor::find_assignor(name);
  CHECK(assign != nullptr);  // no member with another one was let in
  assignor::GroupAssignment assigned = compute_target(group, change, assign, *beat.image);
  for (const ConsumerMember* member : group.members_in_order(change)) {
    const assignor::Assignment& now_has = assigned[member->id];
    const auto before = group.target.find(member->id);
    if (before == group.target.end() || before->second != now_has)
      beat.out.records.push_back(consumer_target_record(beat.group_id, member->id, now_has));
  }
  beat.out.records.push_back(consumer_target_metadata_record(beat.group_id, epoch, beat.now.wall));
  log_info("group", "target assignment",
           {{"group", beat.group_id}, {"epoch", epoch}, {"assignor", name}});
  return {epoch, assigned[change.member->id]};
}

Result<void> GroupShard::move_to_target(Beat& beat, const ConsumerGroup& group,
                                        ConsumerMember& member, const Target& target,
                                        bool subscription_changed,
                                        const std::optional<OwnedTopics>& owned) {
  Reconciliation in;
  in.target_epoch = target.epoch;
  in.target = target.assignment;
  in.subscription_changed = subscription_changed;
  in.owned = owned;
  if (!subscription_changed && member.is_reconciled_to(target.epoch)) return {};
  in.subscribed = topic_ids(group.topics_of(member), *beat.image);
  in.partition_epoch = [&group](const Uuid& topic, std::int32_t partition) {
    return group.partition_epoch(topic, partition);
  };
  ASSIGN_OR_RETURN(ConsumerMember next, reconcile(member, in));
  if (next == member) return {};
  beat.out.records.push_back(consumer_current_record(beat.group_id, next));
  member = std::move(next);
  if (member.classic) return {};  // it has the deadlines of its own protocol
  ConsumerTimers& timers = consumer_timers_[{beat.group_id, member.id}];
  if (member.state == MemberState::kUnrevokedPartitions) {
    timers.rebalance_epoch = member.epoch;
    arm(timers.rebalance, beat.now.now + milliseconds(member.rebalance_timeout_ms),
        {TimerKind::kConsumerRebalance, beat.group_id, member.id});
  } else {
    timers.rebalance.due.reset();
  }
  return {};
}

}  // namespace broker::coordinator::group
