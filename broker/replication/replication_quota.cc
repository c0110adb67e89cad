#include "broker/replication/replication_quota.h"

#include <algorithm>
#include <string>

namespace broker::replication {
namespace {

std::int64_t second_of(Instant now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

}  // namespace

void ReplicationQuota::record(Instant now, std::int64_t bytes) {
  const std::int64_t second = second_of(now);
  Sample& sample = samples_[static_cast<std::size_t>(second % kSamples)];
  std::int64_t begun = sample.second.load(std::memory_order_relaxed);
  if (begun < second && sample.second.compare_exchange_strong(begun, second)) sample.bytes = 0;
  sample.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

// Over at least a full window but for the sample that is being filled, so that a burst after
// silence is not taken for a rate.
std::chrono::milliseconds ReplicationQuota::wait(Instant now) const {
  const std::int64_t limit = limit_.load(std::memory_order_relaxed);
  if (limit == kUnlimited) return {};
  const std::int64_t second = second_of(now);
  std::int64_t sum = 0;
  for (const Sample& sample : samples_)
    if (sample.second.load(std::memory_order_relaxed) > second - kSamples)
      sum += sample.bytes.load(std::memory_order_relaxed);
  const double excess = static_cast<double>(sum) - static_cast<double>(limit) * (kSamples - 1);
  if (excess <= 0) return {};
  const double seconds = std::min(excess / static_cast<double>(std::max<std::int64_t>(limit, 1)),
                                  static_cast<double>(kSamples));
  return std::max(kMinWait, std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
}

bool is_throttled_replica(std::string_view list, std::int32_t partition, BrokerId broker) {
  const std::string wanted = std::to_string(partition) + ":" + std::to_string(broker.value);
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view entry = list.substr(0, comma);
    while (!entry.empty() && entry.front() == ' ') entry.remove_prefix(1);
    while (!entry.empty() && entry.back() == ' ') entry.remove_suffix(1);
    if (entry == "*" || entry == wanted) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

}  // namespace broker::replication
