#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "broker/common/uuid.h"

namespace broker::coordinator::assignor {

/// Kafka's assignors walk hash maps, and who comes first gets the partition that is left over. To
/// give the same answers, things are walked here in the order in which Java's HashMap would list
/// them. (Java's hash of strings is in coordinator/runtime/types.h.)
std::int32_t java_hash(const Uuid& id);  // Uuid.hashCode() of kafka-clients
inline std::int32_t java_hash(std::int32_t value) { return value; }

/// Buckets of a HashMap that grew by itself to `size` entries, and of a copy of so many.
std::size_t grown_buckets(std::size_t size);
std::size_t copied_buckets(std::size_t size);
std::size_t bucket_of(std::int32_t hash, std::size_t buckets);

/// `items` as a HashMap with that many buckets would list them; within a bucket in the order given,
/// where Java goes by the order of insertion: there answers may differ from Kafka's.
template <class Range, class Hash>
auto in_java_order(const Range& items, std::size_t buckets, Hash hash) {
  using Item = std::decay_t<decltype(*items.begin())>;
  std::vector<std::pair<std::size_t, Item>> keyed;
  keyed.reserve(items.size());
  for (const Item& item : items) keyed.emplace_back(bucket_of(hash(item), buckets), item);
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Item> out;
  out.reserve(keyed.size());
  for (auto& [bucket, item] : keyed) out.push_back(std::move(item));
  return out;
}

}  // namespace broker::coordinator::assignor
