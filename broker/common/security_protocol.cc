#include "broker/common/security_protocol.h"

namespace broker {

std::string_view to_string(SecurityProtocol protocol) {
  switch (protocol) {
    case SecurityProtocol::kPlaintext:
      return "PLAINTEXT";
    case SecurityProtocol::kSsl:
      return "SSL";
    case SecurityProtocol::kSaslPlaintext:
      return "SASL_PLAINTEXT";
    case SecurityProtocol::kSaslSsl:
      return "SASL_SSL";
  }
  return "UNKNOWN";
}

Result<SecurityProtocol> parse_security_protocol(std::string_view text) {
  std::string name(text);
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const auto protocol : {SecurityProtocol::kPlaintext, SecurityProtocol::kSsl,
                              SecurityProtocol::kSaslPlaintext, SecurityProtocol::kSaslSsl}) {
    if (name == to_string(protocol)) return protocol;
  }
  return Error{
      ErrorCode::kInvalidConfig,
      "'" + std::string(text) +
          "' is not a security protocol (allowed: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL)"};
}

}  // namespace broker
