// Groups that change their protocol while they are in use (group.consumer.migration.policy).
#include "broker/common/log.h"
#include "broker/coordinator/group/consumer_beat.h"
#include "broker/coordinator/group/consumer_protocol.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/metadata_hash.h"
#include "broker/coordinator/group/records.h"

namespace broker::coordinator::group {

using std::chrono::milliseconds;

namespace {

Error cannot_upgrade(const std::string& group_id, std::string_view why) {
  return {ErrorCode::kGroupIdNotFound, "Cannot upgrade classic group " + group_id +
                                           " to consumer group because " + std::string(why) + "."};
}

/// What the members of a classic group have, each in the generation as its epoch.
Result<ConsumerGroup> as_consumer_group(const Group& classic,
                                        const metadata::MetadataImage& image) {
  ConsumerGroup group;
  group.epoch = classic.generation;
  group.assignment_epoch = classic.generation;
  for (const auto& [id, from] : classic.members) {
    ConsumerMember member{.id = id};
    const Slice* metadata = from.metadata(classic.protocol.value_or(""));
    if (!metadata) metadata = &from.protocols.front().metadata;
    const Result<Subscription> subscription = parse_subscription(*metadata);
    if (!subscription.ok())
      return cannot_upgrade(classic.id, "the embedded consumer protocol is malformed");
    const Result<assignor::Assignment> assignment = parse_assignment(from.assignment, image);
    if (assignment.code() == ErrorCode::kUnsupportedVersion)
      return cannot_upgrade(classic.id,
                            "an unsupported custom assignor is in use. Please refer to the "
                            "documentation or switch to a default assignor before re-attempting "
                            "the upgrade");
    if (!assignment.ok())
      return cannot_upgrade(classic.id, "the embedded consumer protocol is malformed");
    const auto& message = subscription->message;
    if (message.rack_id && !message.rack_id->empty()) member.rack_id = message.rack_id;
    member.topics = {message.topics.begin(), message.topics.end()};
    member.instance_id = from.instance_id;
    member.client_id = from.client_id;
    member.client_host = from.client_host;
    member.rebalance_timeout_ms = static_cast<std::int32_t>(from.rebalance_timeout.count());
    member.classic =
        ClassicTerms{static_cast<std::int32_t>(from.session_timeout.count()), from.protocols};
    member.epoch = classic.generation;
    member.previous_epoch = classic.generation;
    for (const auto& [topic, partitions] : *assignment)
      for (const std::int32_t partition : partitions)
        member.assigned[topic][partition] = classic.generation;
    group.target[id] = *assignment;
    group.put(std::move(member));
  }
  group.metadata_hash = metadata_hash(group.subscribed_topics(), image);
  return group;
}

}  // namespace

Result<void> GroupShard::upgrade(Group& group, Beat& beat) {
  if (!options_.consumer.may_upgrade())
    return cannot_upgrade(group.id, "online upgrade is disabled");
  if (group.protocol_type != "consumer")
    return cannot_upgrade(group.id, "the group does not use the consumer embedded protocol");
  if (group.members.size() > options_.consumer.max_size)
    return cannot_upgrade(group.id, "the group size exceeds the consumer group maximum size");
  ASSIGN_OR_RETURN(ConsumerGroup made, as_consumer_group(group, *beat.image));
  for (auto& [id, member] : group.members) {
    if (member.join_reply)
      std::exchange(member.join_reply, nullptr)(join_error(id, ErrorCode::kRebalanceInProgress));
    if (member.sync_reply)
      std::exchange(member.sync_reply, nullptr)(sync_error(ErrorCode::kRebalanceInProgress));
  }
  beat.out.records.push_back(group_tombstone(group.id));
  write_consumer_group(group.id, made, beat.out.records);
  for (const auto& [id, member] : made.members())
    touch_consumer_session(group.id, id, milliseconds(member.classic->session_timeout_ms),
                           beat.now);
  beat.made = std::move(made);
  log_info("group", "classic group becomes a consumer group", {{"group", group.id}});
  return {};
}

bool GroupShard::may_downgrade(const std::string& group_id, const ConsumerGroup& group,
                               const std::set<std::string>& leaving,
                               std::size_t members_left) const {
  if (members_left == 0 || !group.all_classic_without(leaving)) return false;
  // One that has classic members only is on its way down already.
  if (options_.consumer.may_downgrade() && members_left <= options_.max_group_size) return true;
  log_info("group", "consumer group of classic members stays one",
           {{"group", group_id}, {"members", members_left}});
  return false;
}

void GroupShard::downgrade(const std::string& group_id, const ConsumerGroup& group,
                           const std::set<std::string>& leaving, const ConsumerMember* joining,
                           bool rebalance, const Now& now, Output& out) {
  const metadata::ImagePtr image = ports_.image();
  Group classic(group_id);
  classic.protocol_type = "consumer";
  classic.generation = group.epoch;
  std::map<std::string, assignor::Assignment> targets;
  const auto add = [&](const ConsumerMember& from) {
    Member& member = classic.members[from.id];
    member.id = from.id;
    member.instance_id = from.instance_id;
    member.client_id = from.client_id;
    member.client_host = from.client_host;
    member.rebalance_timeout = milliseconds(from.rebalance_timeout_ms);
    member.session_timeout = milliseconds(from.classic->session_timeout_ms);
    member.protocols = from.classic->protocols;
    member.order = next_order_++;
    targets[from.id] = group.target_of(from);
  };
  for (const auto& [id, member] : group.members())
    if (!leaving.contains(id)) add(member);
  if (joining) add(*joining);
  classic.protocol = classic.select_protocol();
  std::map<std::string, Slice> assignments;
  for (const auto& [id, member] : classic.members) {
    const Slice* metadata = member.metadata(*classic.protocol);
    const Result<Subscription> subscription = parse_subscription(metadata ? *metadata : Slice());
    assignments[id] =
        assignment_bytes(targets[id], subscription.ok() ? subscription->version : 0, *image);
  }
  remove_consumer_group(group_id, group, out.records);
  out.records.push_back(group_record(classic, assignments, now.wall));
  for (const std::string& id : leaving) expect_removal(group_id, id, now);
  Downgraded& downgraded = downgraded_[group_id];
  downgraded.rebalance = rebalance;
  arm(downgraded.deadline, now.now, {TimerKind::kDowngraded, group_id, {}});
  log_info("group", "consumer group becomes a classic group", {{"group", group_id}});
}

void GroupShard::on_downgraded(const std::string& group_id, const Now& now, Output& out) {
  const auto node = downgraded_.extract(group_id);
  Group* group = find_mutable(group_id);
  if (!group || group->consumer || group->members.empty()) return;  // it could not be written
  for (auto& [id, member] : group->members) touch_session(*group, member, now);
  if (!node.empty() && node.mapped().rebalance && group->state == State::kStable)
    prepare_rebalance(*group, now, out);
}

}  // namespace broker::coordinator::group
