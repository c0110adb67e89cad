#include "operator/cli/views.h"

#include <algorithm>

namespace op::cli {

std::vector<std::int32_t> PartitionView::out_of_sync() const {
  std::vector<std::int32_t> out;
  std::copy_if(replicas.begin(), replicas.end(), std::back_inserter(out),
               [&](std::int32_t id) { return std::find(isr.begin(), isr.end(), id) == isr.end(); });
  return out;
}

std::size_t TopicView::replication_factor() const {
  std::size_t widest = 0;
  for (const PartitionView& partition : partitions)
    widest = std::max(widest, partition.replicas.size());
  return widest;
}

std::optional<std::int64_t> TopicView::size_bytes() const {
  std::int64_t sum = 0;
  for (const PartitionView& partition : partitions) {
    if (!partition.size_bytes) return std::nullopt;
    sum += *partition.size_bytes;
  }
  return sum;
}

std::map<std::int32_t, std::int32_t> TopicView::leaders() const {
  std::map<std::int32_t, std::int32_t> out;
  for (const PartitionView& partition : partitions)
    if (!partition.is_offline()) ++out[partition.leader];
  return out;
}

std::optional<std::int64_t> PartitionLag::lag() const {
  if (!committed || !end_offset) return std::nullopt;
  return *end_offset - *committed;
}

std::optional<std::int64_t> GroupView::total_lag() const {
  std::optional<std::int64_t> sum;
  for (const PartitionLag& partition : partitions)
    if (const auto lag = partition.lag()) sum = sum.value_or(0) + *lag;
  return sum;
}

}  // namespace op::cli
