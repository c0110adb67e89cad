#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace broker {

/// Unsigned LEB128 and zig-zag, as Kafka uses them in flexible messages and records.
/// Readers advance `bytes` and return false on a truncated or over-long encoding (5 bytes for 32
/// bits, 10 for 64).
bool read_uvarint(std::span<const std::uint8_t>& bytes, std::uint32_t& value);
bool read_varint(std::span<const std::uint8_t>& bytes, std::int32_t& value);
bool read_varlong(std::span<const std::uint8_t>& bytes, std::int64_t& value);

void append_uvarint(std::vector<std::uint8_t>& out, std::uint32_t value);
void append_varint(std::vector<std::uint8_t>& out, std::int32_t value);
void append_varlong(std::vector<std::uint8_t>& out, std::int64_t value);

std::size_t uvarint_size(std::uint32_t value);
std::size_t varint_size(std::int32_t value);
std::size_t varlong_size(std::int64_t value);

}  // namespace broker
