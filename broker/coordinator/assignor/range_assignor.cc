#include <algorithm>

#include "broker/coordinator/assignor/assignor.h"

namespace broker::coordinator::assignor {

namespace {

// Hands out one topic from its first partition on.
struct Ranges {
  std::int32_t partitions = 0;
  std::int32_t subscribers = 0;
  std::int32_t turn = 0;  // how many were served
  std::int32_t next = 0;

  Partitions take() {
    const std::int32_t extra = turn++ < partitions % subscribers ? 1 : 0;
    const std::int32_t end = std::min(next + partitions / subscribers + extra, partitions);
    Partitions range;
    while (next < end) range.insert(range.end(), next++);
    return range;
  }
};

// Static members keep their place when they come back under another member id.
bool member_goes_before(const Member* a, const Member* b) {
  if (a->instance_id && b->instance_id) return *a->instance_id < *b->instance_id;
  if (a->instance_id || b->instance_id) return a->instance_id.has_value();
  return a->id < b->id;
}

}  // namespace

GroupAssignment assign_range(const GroupSpec& group) {
  std::vector<const Member*> members;
  std::map<Uuid, Ranges> topics;
  for (const Member& member : group.members) {
    members.push_back(&member);
    for (const Uuid& topic : member.topics) {
      Ranges& ranges = topics[topic];
      ranges.partitions = group.partition_counts.at(topic);
      ++ranges.subscribers;
    }
  }
  std::stable_sort(members.begin(), members.end(), member_goes_before);
  GroupAssignment result;
  for (const Member* member : members) {
    Assignment& assignment = result[member->id];
    for (const Uuid& topic : member->topics) {
      Partitions range = topics[topic].take();
      if (!range.empty()) assignment.emplace(topic, std::move(range));
    }
  }
  return result;
}

}  // namespace broker::coordinator::assignor
