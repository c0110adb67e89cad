#pragma once

#include <cstdint>
#include <span>

namespace broker {

/// CRC-32C (Castagnoli), as record batches and producer snapshots carry it. `crc32c("123456789") ==
/// 0xe3069283`.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes);
/// Continues a checksum: crc32c_extend(crc32c(a), b) == crc32c(a + b).
std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::uint8_t> bytes);

}  // namespace broker
