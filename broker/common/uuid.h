#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace broker {

class Rng;

/// Kafka's 128-bit id. Text form everywhere: URL-safe base64 without padding, 22 characters.
struct Uuid {
  std::uint64_t msb = 0;
  std::uint64_t lsb = 0;

  auto operator<=>(const Uuid&) const = default;
  bool is_zero() const { return msb == 0 && lsb == 0; }

  std::string to_string() const;
  static Result<Uuid> parse(std::string_view text);
  std::array<std::uint8_t, 16> bytes() const;
  static Uuid from_bytes(const std::uint8_t* bytes);
  /// A version 4 id that is not reserved (msb 0, lsb below 100) and whose text does not start with
  /// '-', as Kafka draws them.
  static Uuid random(Rng& rng);
};

inline constexpr Uuid kZeroUuid{};
inline constexpr Uuid kMetadataTopicId{0, 1};
/// Reserved directory ids (KIP-858).
inline constexpr Uuid kDirectoryMigrating{0, 0};
inline constexpr Uuid kDirectoryUnassigned{0, 1};
inline constexpr Uuid kDirectoryLost{0, 2};

}  // namespace broker

template <>
struct std::hash<broker::Uuid> {
  std::size_t operator()(const broker::Uuid& id) const { return id.msb * 31 + id.lsb; }
};
