#include "broker/security/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "broker/common/check.h"
#include "broker/security/scram_math.h"

namespace broker::security {
namespace {

constexpr std::size_t kSaltBytes = 20;

Error unacceptable(std::string detail) {
  return Error{ErrorCode::kUnacceptableCredential, std::move(detail)};
}

Result<void> check_iterations(std::int32_t iterations) {
  if (iterations < kScramMinIterations)
    return unacceptable("Too few iterations: at least " + std::to_string(kScramMinIterations));
  if (iterations > kScramMaxIterations)
    return unacceptable("Too many iterations: at most " + std::to_string(kScramMaxIterations));
  return {};
}

}  // namespace

std::string_view to_string(ScramMechanism mechanism) {
  switch (mechanism) {
    case ScramMechanism::kUnknown:
      return "UNKNOWN";
    case ScramMechanism::kSha256:
      return "SCRAM-SHA-256";
    case ScramMechanism::kSha512:
      return "SCRAM-SHA-512";
  }
  return "UNKNOWN";
}

ScramMechanism parse_scram_mechanism(std::string_view name) {
  for (const auto mechanism : {ScramMechanism::kSha256, ScramMechanism::kSha512})
    if (name == to_string(mechanism)) return mechanism;
  return ScramMechanism::kUnknown;
}

Result<Bytes> scram_salted_password(ScramMechanism mechanism, std::string_view password,
                                    std::span<const std::uint8_t> salt, std::int32_t iterations) {
  if (mechanism == ScramMechanism::kUnknown) return unacceptable("Unknown SCRAM mechanism");
  if (password.empty()) return unacceptable("Empty password");
  RETURN_IF_ERROR(check_iterations(iterations));
  return scram::salted_password(mechanism, password, salt, iterations);
}

Result<ScramCredential> scram_credential_from_salted(ScramMechanism mechanism,
                                                     std::span<const std::uint8_t> salted_password,
                                                     Bytes salt, std::int32_t iterations) {
  if (mechanism == ScramMechanism::kUnknown) return unacceptable("Unknown SCRAM mechanism");
  if (salt.empty()) return unacceptable("Empty salt");
  if (salted_password.empty()) return unacceptable("Empty password");
  RETURN_IF_ERROR(check_iterations(iterations));
  ScramCredential credential;
  credential.stored_key =
      scram::hash(mechanism, scram::hmac(mechanism, salted_password, "Client Key"));
  credential.server_key = scram::hmac(mechanism, salted_password, "Server Key");
  credential.salt = std::move(salt);
  credential.iterations = iterations;
  return credential;
}

Result<ScramCredential> make_scram_credential(std::string_view password, ScramMechanism mechanism,
                                              std::int32_t iterations) {
  Bytes salt = random_bytes(kSaltBytes);
  ASSIGN_OR_RETURN(const Bytes salted,
                   scram_salted_password(mechanism, password, salt, iterations));
  return scram_credential_from_salted(mechanism, salted, std::move(salt), iterations);
}

Bytes random_bytes(std::size_t count) {
  Bytes bytes(count);
  CHECK_EQ(RAND_bytes(bytes.data(), static_cast<int>(count)), 1);
  return bytes;
}

bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string scram_escape_name(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == ',')
      escaped += "=2C";
    else if (c == '=')
      escaped += "=3D";
    else
      escaped += c;
  }
  return escaped;
}

Result<std::string> scram_unescape_name(std::string_view name) {
  std::string plain;
  while (!name.empty()) {
    if (name.front() != '=') {
      plain += name.front();
      name.remove_prefix(1);
      continue;
    }
    if (name.starts_with("=2C"))
      plain += ',';
    else if (name.starts_with("=3D"))
      plain += '=';
    else
      return Error{ErrorCode::kSaslAuthenticationFailed, "Invalid user name in SCRAM message"};
    name.remove_prefix(3);
  }
  return plain;
}

}  // namespace broker::security
