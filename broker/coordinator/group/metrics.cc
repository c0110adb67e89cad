#include "broker/coordinator/group/metrics.h"

namespace broker::coordinator::group {

GroupMetrics& GroupMetrics::operator+=(const GroupMetrics& other) {
  groups += other.groups;
  for (const auto& [state, count] : other.groups_by_state) groups_by_state[state] += count;
  members.insert(other.members.begin(), other.members.end());
  offsets.insert(offsets.end(), other.offsets.begin(), other.offsets.end());
  return *this;
}

}  // namespace broker::coordinator::group
