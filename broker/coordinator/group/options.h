#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "broker/metadata/image.h"

namespace broker::coordinator::group {

/// group.consumer.migration.policy: whether members of the other protocol turn a group over.
enum class MigrationPolicy { kDisabled, kUpgrade, kDowngrade, kBidirectional };

/// What may differ from group to group.
struct ConsumerSettings {
  std::chrono::milliseconds session_timeout{45'000};
  std::chrono::milliseconds heartbeat_interval{5'000};
  std::chrono::milliseconds assignment_interval{1'000};  // at most one target in this time
};

/// Kafka's group.consumer.* keys.
struct ConsumerOptions {
  ConsumerSettings settings;
  std::size_t max_size = std::numeric_limits<std::int32_t>::max();
  std::vector<std::string> assignors{"uniform", "range"};  // the first one is the default
  std::chrono::milliseconds regex_refresh_interval{600'000};
  std::chrono::milliseconds regex_refresh_pause{10'000};  // not configurable in Kafka either
  MigrationPolicy migration = MigrationPolicy::kBidirectional;

  bool may_upgrade() const {
    return migration == MigrationPolicy::kUpgrade || migration == MigrationPolicy::kBidirectional;
  }
  bool may_downgrade() const {
    return migration == MigrationPolicy::kDowngrade || migration == MigrationPolicy::kBidirectional;
  }
  /// With what is set on the group itself, or on all brokers.
  ConsumerSettings settings_of(const std::string& group,
                               const metadata::ConfigsImage& configs) const;
};

/// Kafka's group.* and offsets.* keys, as far as groups use them.
struct GroupOptions {
  std::chrono::milliseconds min_session_timeout{6'000};
  std::chrono::milliseconds max_session_timeout{1'800'000};
  std::chrono::milliseconds initial_rebalance_delay{3'000};
  std::chrono::milliseconds new_member_join_timeout{300'000};  // not configurable in Kafka either
  std::size_t max_group_size = std::numeric_limits<std::int32_t>::max();
  std::size_t offset_metadata_max_bytes = 4'096;
  std::chrono::milliseconds offsets_retention{std::chrono::hours{24 * 7}};
  std::chrono::milliseconds offsets_retention_check_interval{600'000};
  ConsumerOptions consumer;
};

}  // namespace broker::coordinator::group
