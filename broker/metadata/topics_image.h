#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/persistent_map.h"

namespace broker::metadata {

inline constexpr BrokerId kNoLeader{-1};

enum class LeaderRecoveryState : std::int8_t { kRecovered = 0, kRecovering = 1 };

struct PartitionRegistration {
  std::vector<BrokerId> replicas;
  std::vector<DirectoryId> directories;  // beside replicas
  std::vector<BrokerId> isr;
  std::vector<BrokerId> removing_replicas;
  std::vector<BrokerId> adding_replicas;
  std::vector<BrokerId> elr;
  std::vector<BrokerId> last_known_elr;
  BrokerId leader = kNoLeader;
  LeaderRecoveryState leader_recovery_state = LeaderRecoveryState::kRecovered;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;

  bool has_replica(BrokerId id) const;
  bool in_isr(BrokerId id) const;
  /// Where `id` keeps this partition; kDirectoryUnassigned when unknown.
  DirectoryId directory_of(BrokerId id) const;
  bool operator==(const PartitionRegistration&) const = default;
};

struct TopicImage {
  std::string name;
  TopicId id;
  PersistentMap<std::int32_t, PartitionRegistration> partitions;

  bool operator==(const TopicImage&) const = default;
};

struct TopicsImage {
  PersistentMap<TopicId, TopicImage> by_id;
  PersistentMap<std::string, TopicId> ids;

  const TopicImage* find(std::string_view name) const;
  const TopicImage* find(const TopicId& id) const { return by_id.find(id); }
  const PartitionRegistration* partition(const TopicId& id, std::int32_t index) const;
  bool operator==(const TopicsImage&) const = default;
};

}  // namespace broker::metadata
