#include "broker/coordinator/group/consumer_reconcile.h"

#include <algorithm>

#include "broker/common/defect.h"

namespace broker::coordinator::group {

namespace {

bool has(const OwnedPartitions& owned, const Uuid& topic, std::int32_t partition) {
  const auto at = owned.find(topic);
  return at != owned.end() && at->second.contains(partition);
}

// The current assignment against the target.
struct Difference {
  OwnedPartitions kept;
  OwnedPartitions to_revoke;
  assignor::Assignment free;  // the member's as soon as it is in the target's epoch
  bool waits_for_others = false;
};

Difference compare(const ConsumerMember& member, const Reconciliation& in) {
  Difference difference;
  const auto is_target = [&in](const Uuid& topic, std::int32_t partition) {
    if (!in.subscribed.contains(topic)) return false;
    const auto at = in.target.find(topic);
    return at != in.target.end() && at->second.contains(partition);
  };
  for (const auto& [topic, partitions] : member.assigned)
    for (const auto& [partition, epoch] : partitions)
      (is_target(topic, partition) ? difference.kept : difference.to_revoke)[topic][partition] =
          epoch;
  for (const auto& [topic, partitions] : in.target) {
    if (!in.subscribed.contains(topic)) continue;
    for (const std::int32_t partition : partitions) {
      if (has(difference.kept, topic, partition)) continue;
      // What the member itself is about to give up is nobody else's.
      const bool taken = in.partition_epoch(topic, partition) != -1 &&
                         !has(member.pending_revocation, topic, partition) &&
                         !has_defect(Defect::kGivenBeforeRevoked);
      if (taken)
        difference.waits_for_others = true;
      else
        difference.free[topic].insert(partition);
    }
  }
  return difference;
}

ConsumerMember next_assignment(const ConsumerMember& member, const Reconciliation& in) {
  Difference difference = compare(member, in);
  ConsumerMember next = member;
  next.assigned = std::move(difference.kept);
  if (!difference.to_revoke.empty() && owns_any(in.owned, difference.to_revoke)) {
    next.state = MemberState::kUnrevokedPartitions;
    next.advance_to(member.epoch);
    next.pending_revocation = std::move(difference.to_revoke);
    return next;
  }
  for (const auto& [topic, partitions] : difference.free)
    for (const std::int32_t partition : partitions)
      next.assigned[topic][partition] = in.target_epoch;
  next.state =
      difference.waits_for_others ? MemberState::kUnreleasedPartitions : MemberState::kStable;
  next.advance_to(in.target_epoch);
  next.pending_revocation.clear();
  return next;
}

// Takes back what is not subscribed to any more, without waiting for the next target.
ConsumerMember without_unsubscribed(const ConsumerMember& member, const Reconciliation& in) {
  ConsumerMember next = member;
  for (const auto& [topic, partitions] : member.assigned) {
    if (in.subscribed.contains(topic)) continue;
    next.assigned.erase(topic);
    next.pending_revocation[topic].insert(partitions.begin(), partitions.end());
  }
  if (next.assigned == member.assigned) return member;
  next.advance_to(member.epoch);
  if (owns_any(in.owned, next.pending_revocation))
    next.state = MemberState::kUnrevokedPartitions;
  else
    next.pending_revocation = member.pending_revocation;  // it has let go of them already
  return next;
}

}  // namespace

bool owns_any(const std::optional<OwnedTopics>& owned, const OwnedPartitions& of) {
  if (!owned) return true;
  return std::any_of(owned->begin(), owned->end(), [&of](const auto& topic) {
    return std::any_of(topic.partitions.begin(), topic.partitions.end(),
                       [&](std::int32_t p) { return has(of, topic.topic_id, p); });
  });
}

bool owns_only(const std::optional<OwnedTopics>& owned, const OwnedPartitions& assigned) {
  if (!owned) return false;
  return std::all_of(owned->begin(), owned->end(), [&assigned](const auto& topic) {
    return assigned.contains(topic.topic_id) &&
           std::all_of(topic.partitions.begin(), topic.partitions.end(),
                       [&](std::int32_t p) { return has(assigned, topic.topic_id, p); });
  });
}

Result<ConsumerMember> reconcile(const ConsumerMember& member, const Reconciliation& in) {
  if (!in.subscription_changed && member.is_reconciled_to(in.target_epoch)) return member;
  switch (member.state) {
    case MemberState::kStable:
      if (member.epoch != in.target_epoch) return next_assignment(member, in);
      return without_unsubscribed(member, in);
    case MemberState::kUnrevokedPartitions:
      if (!owns_any(in.owned, member.pending_revocation)) return next_assignment(member, in);
      return in.subscription_changed ? without_unsubscribed(member, in) : member;
    case MemberState::kUnreleasedPartitions:
      return next_assignment(member, in);
    case MemberState::kUnknown:
      break;
  }
  if (!in.owned || !in.owned->empty())
    return Error{ErrorCode::kFencedMemberEpoch,
                 "The consumer group member is in a unknown state. The member must abandon all its "
                 "partitions and rejoin."};
  ConsumerMember rejoining = member;
  rejoining.epoch = in.target_epoch;
  return next_assignment(rejoining, in);
}

}  // namespace broker::coordinator::group
