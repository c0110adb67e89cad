#pragma once

#include <cstdint>
#include <string_view>

#include "broker/common/result.h"

namespace broker {

/// How a listener is secured; the numbers are Kafka's (Metadata, broker registration).
enum class SecurityProtocol : std::int16_t {
  kPlaintext = 0,
  kSsl = 1,
  kSaslPlaintext = 2,
  kSaslSsl = 3,
};

/// "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL".
std::string_view to_string(SecurityProtocol protocol);
/// Errors: kInvalidConfig with the names that are allowed.
Result<SecurityProtocol> parse_security_protocol(std::string_view text);
constexpr bool uses_tls(SecurityProtocol p) {
  return p == SecurityProtocol::kSsl || p == SecurityProtocol::kSaslSsl;
}
constexpr bool uses_sasl(SecurityProtocol p) {
  return p == SecurityProtocol::kSaslPlaintext || p == SecurityProtocol::kSaslSsl;
}

}  // namespace broker
