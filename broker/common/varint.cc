#include "broker/common/varint.h"

namespace broker {
namespace {

template <class U>
bool read_leb128(std::span<const std::uint8_t>& bytes, U& value) {
  constexpr int kBits = sizeof(U) * 8;
  U v = 0;
  std::size_t i = 0;
  for (int shift = 0; shift < kBits; shift += 7, ++i) {
    if (i == bytes.size()) return false;
    const std::uint8_t b = bytes[i];
    // The last byte must not carry bits beyond the type.
    if (shift + 7 > kBits && (b & 0x7f) >> (kBits - shift) != 0) return false;
    v |= static_cast<U>(b & 0x7f) << shift;
    if ((b & 0x80) == 0) {
      bytes = bytes.subspan(i + 1);
      value = v;
      return true;
    }
  }
  return false;
}

template <class U>
void append_leb128(std::vector<std::uint8_t>& out, U v) {
  while (v >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(v));
}

template <class U>
std::size_t leb128_size(U v) {
  std::size_t n = 1;
  for (; v >= 0x80; v >>= 7) ++n;
  return n;
}

std::uint32_t zigzag(std::int32_t v) {
  return static_cast<std::uint32_t>(v) << 1 ^ static_cast<std::uint32_t>(v >> 31);
}
std::uint64_t zigzag(std::int64_t v) {
  return static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63);
}

}  // namespace

bool read_uvarint(std::span<const std::uint8_t>& bytes, std::uint32_t& value) {
  return read_leb128(bytes, value);
}
bool read_varint(std::span<const std::uint8_t>& bytes, std::int32_t& value) {
  std::uint32_t u = 0;
  if (!read_leb128(bytes, u)) return false;
  value = static_cast<std::int32_t>(u >> 1) ^ -static_cast<std::int32_t>(u & 1);
  return true;
}
bool read_varlong(std::span<const std::uint8_t>& bytes, std::int64_t& value) {
  std::uint64_t u = 0;
  if (!read_leb128(bytes, u)) return false;
  value = static_cast<std::int64_t>(u >> 1) ^ -static_cast<std::int64_t>(u & 1);
  return true;
}

void append_uvarint(std::vector<std::uint8_t>& out, std::uint32_t value) {
  append_leb128(out, value);
}
void append_varint(std::vector<std::uint8_t>& out, std::int32_t value) {
  append_leb128(out, zigzag(value));
}
void append_varlong(std::vector<std::uint8_t>& out, std::int64_t value) {
  append_leb128(out, zigzag(value));
}

std::size_t uvarint_size(std::uint32_t value) { return leb128_size(value); }
std::size_t varint_size(std::int32_t value) { return leb128_size(zigzag(value)); }
std::size_t varlong_size(std::int64_t value) { return leb128_size(zigzag(value)); }

}  // namespace broker
