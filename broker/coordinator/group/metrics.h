#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace broker::coordinator::group {

enum class State;

/// A committed offset; its lag is the partition's log end offset minus it.
struct OffsetGauge {
  std::string group;
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = -1;
};

/// What the metrics endpoint shows of the groups that this broker coordinates.
struct GroupMetrics {
  std::size_t groups = 0;
  std::map<State, std::size_t> groups_by_state;
  std::map<std::string, std::size_t> members;  // by group
  std::vector<OffsetGauge> offsets;

  GroupMetrics& operator+=(const GroupMetrics& other);
};

namespace metric_names {
inline constexpr const char* kGroups = "kafka_coordinator_group_groupmetadatamanager_numgroups";
inline constexpr const char* kGroupsStable =
    "kafka_coordinator_group_groupmetadatamanager_numgroupsstable";
inline constexpr const char* kGroupsPreparingRebalance =
    "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance";
inline constexpr const char* kGroupsCompletingRebalance =
    "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance";
inline constexpr const char* kGroupsEmpty =
    "kafka_coordinator_group_groupmetadatamanager_numgroupsempty";
inline constexpr const char* kOffsets = "kafka_coordinator_group_groupmetadatamanager_numoffsets";
inline constexpr const char* kMembers = "kafka_consumergroup_members";  // consumergroup
inline constexpr const char* kCurrentOffset =
    "kafka_consumergroup_current_offset";                       // consumergroup, topic, partition
inline constexpr const char* kLag = "kafka_consumergroup_lag";  // consumergroup, topic, partition
}  // namespace metric_names

}  // namespace broker::coordinator::group
