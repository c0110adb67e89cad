#include <algorithm>

#include "broker/coordinator/assignor/assignor.h"
#include "broker/coordinator/assignor/java_order.h"
#include "broker/coordinator/assignor/mixed_subscriptions.h"

namespace broker::coordinator::assignor {

namespace {

template <class Set>
auto listed(const Set& items, std::size_t buckets) {
  return in_java_order(items, buckets, [](const auto& item) { return java_hash(item); });
}

std::vector<Uuid> topics_of(const Assignment& assignment) {
  std::vector<Uuid> topics;
  for (const auto& [topic, partitions] : assignment) topics.push_back(topic);
  return listed(topics, grown_buckets(topics.size()));
}

using TopicPartition = std::pair<Uuid, std::int32_t>;

/// Everyone is subscribed to the same: each member gets partitions / members of them, and so many
/// of the first members one more as are left over.
class Homogeneous {
 public:
  explicit Homogeneous(const GroupSpec& group)
      : group_(group), subscribed_(group.members.front().topics) {}

  GroupAssignment assign() {
    if (subscribed_.empty()) return {};
    collect_unassigned();
    take_back();
    hand_out();
    return std::move(result_);
  }

 private:
  void collect_unassigned() {
    std::set<TopicPartition> assigned;
    for (const Member& member : group_.members)
      for (const auto& [topic, partitions] : member.assignment)
        for (const std::int32_t partition : partitions) assigned.emplace(topic, partition);
    std::int32_t total = 0;
    for (const Uuid& topic :
         listed(group_.topic_order, copied_buckets(group_.topic_order.size()))) {
      const std::int32_t count = group_.partition_counts.at(topic);
      total += count;
      for (std::int32_t partition = 0; partition < count; ++partition)
        if (!assigned.contains({topic, partition})) unassigned_.emplace_back(topic, partition);
    }
    const auto members = static_cast<std::int32_t>(group_.members.size());
    quota_ = total / members;
    extras_ = total % members;
  }

  // What is no longer subscribed to, or beyond the quota.
  void take_back() {
    const auto members = static_cast<std::int32_t>(group_.members.size());
    std::int32_t index = 0;
    for (const Member& member : group_.members) {
      bool has_extra = extras_ > 0;
      std::int32_t quota = quota_ + (has_extra ? 1 : 0);
      result_[member.id] = keep(member.assignment, quota);
      // One more is not for who would have to be given it, as long as others may have it already.
      if (quota > 0 && has_extra && members - index > extras_) {
        --quota;
        has_extra = false;
      }
      if (quota > 0) unfilled_.emplace_back(member.id, quota);
      if (has_extra) --extras_;
      ++index;
    }
  }

  // What stays of `assignment`; `quota` becomes what there is still room for.
  Assignment keep(const Assignment& assignment, std::int32_t& quota) {
    Assignment kept;
    for (const Uuid& topic : topics_of(assignment)) {
      if (!subscribed_.contains(topic)) continue;
      const Partitions& partitions = assignment.at(topic);
      if (static_cast<std::int32_t>(partitions.size()) <= quota) {
        quota -= static_cast<std::int32_t>(partitions.size());
        kept.emplace(topic, partitions);
        continue;
      }
      for (const std::int32_t partition : listed(partitions, copied_buckets(partitions.size()))) {
        if (quota > 0) {
          --quota;
          kept[topic].insert(partition);
        } else {
          unassigned_.emplace_back(topic, partition);
        }
      }
    }
    return kept;
  }

  void hand_out() {
    std::size_t next = 0;
    for (const auto& [member, quota] : unfilled_) {
      Assignment& assignment = result_[member];
      for (std::int32_t i = 0; i < quota && next < unassigned_.size(); ++i, ++next)
        assignment[unassigned_[next].first].insert(unassigned_[next].second);
    }
  }

  const GroupSpec& group_;
  const std::set<Uuid>& subscribed_;
  std::vector<TopicPartition> unassigned_;
  std::vector<std::pair<std::string, std::int32_t>> unfilled_;
  std::int32_t quota_ = 0;
  std::int32_t extras_ = 0;  // members that may still have one more
  GroupAssignment result_;
};

}  // namespace

GroupAssignment assign_uniform(const GroupSpec& group) {
  if (group.members.empty()) return {};
  return group.homogeneous ? Homogeneous(group).assign() : assign_mixed_subscriptions(group);
}

}  // namespace broker::coordinator::assignor
