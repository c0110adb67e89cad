#include "broker/coordinator/runtime/types.h"

#include <cstdint>

namespace broker::coordinator {

namespace {

// The code point at the front of `text`, which it shortens. What is not UTF-8 becomes U+FFFD, one
// per byte, as Java's decoder would have made it.
std::uint32_t take_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  std::uint32_t code = byte(0);
  std::size_t length = 1;
  if (code >= 0x80) {
    const std::uint32_t lead = code;
    code = 0xfffd;
    if ((lead & 0xe0) == 0xc0 && continues(1)) {
      code = (lead & 0x1f) << 6 | (byte(1) & 0x3fu);
      length = 2;
    } else if ((lead & 0xf0) == 0xe0 && continues(1) && continues(2)) {
      code = (lead & 0x0f) << 12 | (byte(1) & 0x3fu) << 6 | (byte(2) & 0x3fu);
      length = 3;
    } else if ((lead & 0xf8) == 0xf0 && continues(1) && continues(2) && continues(3)) {
      code = (lead & 0x07) << 18 | (byte(1) & 0x3fu) << 12 | (byte(2) & 0x3fu) << 6 |
             (byte(3) & 0x3fu);
      length = 4;
    }
  }
  text.remove_prefix(length);
  return code;
}

}  // namespace

std::int32_t java_hash_code(std::string_view utf8) {
  std::uint32_t hash = 0;
  while (!utf8.empty()) {
    const std::uint32_t code = take_code_point(utf8);
    if (code < 0x10000) {
      hash = hash * 31 + code;
      continue;
    }
    hash = hash * 31 + (0xd800 + ((code - 0x10000) >> 10));
    hash = hash * 31 + (0xdc00 + ((code - 0x10000) & 0x3ff));
  }
  return static_cast<std::int32_t>(hash);
}

std::int32_t partition_for(std::string_view id, std::int32_t partitions) {
  const std::int32_t hash = java_hash_code(id);
  if (hash == INT32_MIN) return 0;
  return (hash < 0 ? -hash : hash) % partitions;
}

}  // namespace broker::coordinator
