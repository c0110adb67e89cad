#include "broker/common/uuid.h"

#include "broker/common/base64.h"
#include "broker/common/rng.h"

namespace broker {

std::array<std::uint8_t, 16> Uuid::bytes() const {
  std::array<std::uint8_t, 16> out{};
  for (int i = 0; i < 8; ++i) {
    out[i] = static_cast<std::uint8_t>(msb >> (56 - 8 * i));
    out[8 + i] = static_cast<std::uint8_t>(lsb >> (56 - 8 * i));
  }
  return out;
}

Uuid Uuid::from_bytes(const std::uint8_t* bytes) {
  Uuid id;
  for (int i = 0; i < 8; ++i) {
    id.msb = id.msb << 8 | bytes[i];
    id.lsb = id.lsb << 8 | bytes[8 + i];
  }
  return id;
}

std::string Uuid::to_string() const {
  const auto raw = bytes();
  return base64_encode(std::span<const std::uint8_t>(raw), Base64::kUrlSafeNoPadding);
}

Result<Uuid> Uuid::parse(std::string_view text) {
  auto raw = base64_decode(text, Base64::kUrlSafeNoPadding);
  if (!raw.ok() || raw->size() != 16)
    return Error{ErrorCode::kInvalidRequest,
                 "'" + std::string(text) + "' is not an id of 22 URL-safe base64 characters"};
  return from_bytes(raw->data());
}

Uuid Uuid::random(Rng& rng) {
  for (;;) {
    Uuid id{rng.next(), rng.next()};
    id.msb = (id.msb & ~0xf000ULL) | 0x4000ULL;
    id.lsb = (id.lsb & ~(3ULL << 62)) | (2ULL << 62);
    if (id.to_string().front() != '-') return id;
  }
}

}  // namespace broker
