#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "broker/common/uuid.h"

namespace broker {

/// A number that is not interchangeable with another one: swapped arguments do not compile.
template <class Tag, class Rep>
struct Strong {
  using rep = Rep;
  Rep value{};

  constexpr auto operator<=>(const Strong&) const = default;
};

using BrokerId = Strong<struct BrokerIdTag, std::int32_t>;  // also a controller's node id
using PartitionId = Strong<struct PartitionIdTag, std::int32_t>;
using LeaderEpoch =
    Strong<struct LeaderEpochTag, std::int32_t>;  // of a partition, and of the quorum
using PartitionEpoch = Strong<struct PartitionEpochTag, std::int32_t>;
using BrokerEpoch = Strong<struct BrokerEpochTag, std::int64_t>;
using ProducerId = Strong<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = Strong<struct ProducerEpochTag, std::int16_t>;

/// A position in a log. `log_end_offset` and high watermarks are exclusive: the next offset to
/// write or to commit.
struct Offset : Strong<struct OffsetTag, std::int64_t> {
  constexpr Offset() = default;
  constexpr explicit Offset(std::int64_t v) : Strong{v} {}
  constexpr auto operator<=>(const Offset&) const = default;
  constexpr Offset operator+(std::int64_t n) const { return Offset{value + n}; }
  constexpr std::int64_t operator-(Offset other) const { return value - other.value; }
};

using TopicId = Uuid;
using DirectoryId = Uuid;

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;

  auto operator<=>(const TopicPartition&) const = default;
};

/// "orders-3", as directories and logs name a partition.
inline std::string to_string(const TopicPartition& tp) {
  return tp.topic + "-" + std::to_string(tp.partition);
}

}  // namespace broker

template <class Tag, class Rep>
struct std::hash<broker::Strong<Tag, Rep>> {
  std::size_t operator()(const broker::Strong<Tag, Rep>& id) const {
    return std::hash<Rep>{}(id.value);
  }
};
template <>
struct std::hash<broker::Offset> {
  std::size_t operator()(const broker::Offset& o) const {
    return std::hash<std::int64_t>{}(o.value);
  }
};
template <>
struct std::hash<broker::TopicPartition> {
  std::size_t operator()(const broker::TopicPartition& tp) const {
    return std::hash<std::string>{}(tp.topic) * 31 + static_cast<std::size_t>(tp.partition);
  }
};
