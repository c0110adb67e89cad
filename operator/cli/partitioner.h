#pragma once

#include <cstdint>
#include <string_view>

namespace op::cli {

/// The hash by which Kafka's clients spread keys, so that a key lands where an application's own
/// records with it are (murmur2, seed 0x9747b28c).
std::uint32_t murmur2(std::string_view bytes);
std::int32_t partition_of_key(std::string_view key, std::int32_t partitions);

}  // namespace op::cli
