#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <string_view>

#include "broker/common/ids.h"
#include "broker/common/time.h"

namespace broker::replication {

/// How many bytes per second this broker moves for throttled replicas, in one direction: a sliding
/// window of 11 samples of a second, as Kafka measures it. Shared by all strands, without a lock: a
/// sample that two strands begin at once may lose a few bytes.
class ReplicationQuota {
 public:
  static constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

  void set_limit(std::int64_t bytes_per_second) { limit_ = bytes_per_second; }
  void record(Instant now, std::int64_t bytes);
  bool is_exceeded(Instant now) const { return wait(now).count() > 0; }
  /// How long to move nothing until the rate is kept; at least kMinWait if it is exceeded.
  std::chrono::milliseconds wait(Instant now) const;
  static constexpr std::chrono::milliseconds kMinWait{100};

 private:
  static constexpr std::int64_t kSamples = 11;
  struct Sample {
    std::atomic<std::int64_t> second{-1};
    std::atomic<std::int64_t> bytes{0};
  };

  std::atomic<std::int64_t> limit_{kUnlimited};
  std::array<Sample, kSamples> samples_;
};

/// Whether leader./follower.replication.throttled.replicas ("*" or "partition:broker,...") names
/// this replica.
bool is_throttled_replica(std::string_view list, std::int32_t partition, BrokerId broker);

}  // namespace broker::replication
