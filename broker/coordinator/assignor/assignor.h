#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/uuid.h"

namespace broker::coordinator::assignor {

using Partitions = std::set<std::int32_t>;
/// What one member has, or shall have. No topic stands here without partitions.
using Assignment = std::map<Uuid, Partitions>;
using GroupAssignment = std::map<std::string, Assignment>;  // by member id

struct Member {
  std::string id;
  std::optional<std::string> instance_id;
  std::set<Uuid> topics;  // subscribed to, and existing
  Assignment assignment;  // the target so far
};

struct GroupSpec {
  /// In the order of java_order.h, where results shall equal Kafka's.
  std::vector<Member> members;
  /// Whether everyone is subscribed to the same topics: these, in the order of java_order.h.
  bool homogeneous = true;
  std::vector<Uuid> topic_order;                  // only if homogeneous
  std::map<Uuid, std::int32_t> partition_counts;  // of every topic subscribed to
};

/// Balanced over all partitions, moves as few as it can (KIP-848). As Kafka 4.3 does, racks are not
/// looked at.
GroupAssignment assign_uniform(const GroupSpec& group);
/// Per topic one range for each member, the same members getting the same numbers of all topics
/// with as many partitions: co-partitioned joins (KIP-848).
GroupAssignment assign_range(const GroupSpec& group);

using Assignor = GroupAssignment (*)(const GroupSpec&);
/// nullptr for a name that is not a server-side assignor.
Assignor find_assignor(std::string_view name);

}  // namespace broker::coordinator::assignor
