#include "broker/coordinator/assignor/java_order.h"

namespace broker::coordinator::assignor {

std::int32_t java_hash(const Uuid& id) {
  const std::uint64_t both = id.msb ^ id.lsb;
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(both >> 32) ^
                                   static_cast<std::uint32_t>(both));
}

std::size_t grown_buckets(std::size_t size) {
  std::size_t buckets = 16;
  while (size * 4 > buckets * 3) buckets *= 2;
  return buckets;
}

std::size_t copied_buckets(std::size_t size) {
  const std::size_t wanted = std::max<std::size_t>(size * 4 / 3 + 1, 16);
  std::size_t buckets = 16;
  while (buckets < wanted) buckets *= 2;
  return buckets;
}

std::size_t bucket_of(std::int32_t hash, std::size_t buckets) {
  const auto bits = static_cast<std::uint32_t>(hash);
  return (bits ^ bits >> 16) & (buckets - 1);
}

}  // namespace broker::coordinator::assignor
