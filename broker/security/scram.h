#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker::security {

using Bytes = std::vector<std::uint8_t>;

inline Bytes bytes_of(std::string_view text) { return Bytes(text.begin(), text.end()); }

/// The numbers are Kafka's (Describe/AlterUserScramCredentials, UserScramCredentialRecord).
enum class ScramMechanism : std::int8_t { kUnknown = 0, kSha256 = 1, kSha512 = 2 };

std::string_view to_string(ScramMechanism mechanism);  // "SCRAM-SHA-256"
/// kUnknown for any other name.
ScramMechanism parse_scram_mechanism(std::string_view name);

inline constexpr std::int32_t kScramMinIterations = 4096;
inline constexpr std::int32_t kScramMaxIterations = 16384;

/// What a server stores of a password (RFC 5802); it does not reveal the password.
struct ScramCredential {
  Bytes salt;
  Bytes stored_key;
  Bytes server_key;
  std::int32_t iterations = 0;

  bool operator==(const ScramCredential&) const = default;
};

/// PBKDF2: about 1 ms (SHA-256) or 2 ms (SHA-512) per 4096 iterations; not for an event loop.
/// Errors: kUnacceptableCredential when `iterations` is outside 4096..16384 or the password empty.
Result<Bytes> scram_salted_password(ScramMechanism mechanism, std::string_view password,
                                    std::span<const std::uint8_t> salt, std::int32_t iterations);
/// As AlterUserScramCredentials sends it. Errors: kUnacceptableCredential (iterations, empty salt
/// or password).
Result<ScramCredential> scram_credential_from_salted(ScramMechanism mechanism,
                                                     std::span<const std::uint8_t> salted_password,
                                                     Bytes salt, std::int32_t iterations);
/// With a fresh random salt.
Result<ScramCredential> make_scram_credential(std::string_view password, ScramMechanism mechanism,
                                              std::int32_t iterations = kScramMinIterations);

/// Cryptographically random bytes; stops the process if the system has none.
Bytes random_bytes(std::size_t count);
/// Takes the same time wherever the first difference is.
bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

/// ',' → "=2C", '=' → "=3D" (RFC 5802).
std::string scram_escape_name(std::string_view name);
/// Errors: kSaslAuthenticationFailed on any other use of '='.
Result<std::string> scram_unescape_name(std::string_view name);

}  // namespace broker::security
