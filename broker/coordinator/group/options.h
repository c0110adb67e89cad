#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace broker::coordinator::group {

/// Kafka's group.* and offsets.* keys, as far as classic groups use them.
struct GroupOptions {
  std::chrono::milliseconds min_session_timeout{6'000};
  std::chrono::milliseconds max_session_timeout{1'800'000};
  std::chrono::milliseconds initial_rebalance_delay{3'000};
  std::chrono::milliseconds new_member_join_timeout{300'000};  // not configurable in Kafka either
  std::size_t max_group_size = std::numeric_limits<std::int32_t>::max();
  std::size_t offset_metadata_max_bytes = 4'096;
  std::chrono::milliseconds offsets_retention{std::chrono::hours{24 * 7}};
  std::chrono::milliseconds offsets_retention_check_interval{600'000};
};

}  // namespace broker::coordinator::group
