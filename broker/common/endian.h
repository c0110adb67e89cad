#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace broker {

/// Big-endian, the byte order of Kafka's wire and disk.
template <class T>
T load_be(const std::uint8_t* from) {
  std::make_unsigned_t<T> v = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    v = static_cast<std::make_unsigned_t<T>>(v << 8 * (sizeof(T) > 1) | from[i]);
  return static_cast<T>(v);
}
template <class T>
void store_be(std::uint8_t* to, T value) {
  auto v = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = sizeof(T); i-- > 0;) {
    to[i] = static_cast<std::uint8_t>(v & 0xff);
    if constexpr (sizeof(T) > 1) v >>= 8;
  }
}

}  // namespace broker
