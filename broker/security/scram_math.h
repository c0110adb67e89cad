#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "broker/security/scram.h"

/// The primitives of RFC 5802 without policy; `mechanism` is never kUnknown.
namespace broker::security::scram {

Bytes hash(ScramMechanism mechanism, std::span<const std::uint8_t> data);
Bytes hmac(ScramMechanism mechanism, std::span<const std::uint8_t> key, std::string_view data);
/// Hi(): PBKDF2 with HMAC.
Bytes salted_password(ScramMechanism mechanism, std::string_view password,
                      std::span<const std::uint8_t> salt, std::int32_t iterations);
/// a XOR b; equal sizes.
Bytes exclusive_or(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace broker::security::scram
