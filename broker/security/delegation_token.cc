#include "broker/security/delegation_token.h"

#include "broker/common/base64.h"
#include "broker/common/check.h"
#include "broker/security/scram_math.h"

namespace broker::security {

Bytes delegation_token_hmac(std::string_view secret_key, std::string_view token_id) {
  return scram::hmac(ScramMechanism::kSha512, bytes_of(secret_key), token_id);
}

ScramCredential delegation_token_credential(ScramMechanism mechanism,
                                            std::span<const std::uint8_t> hmac) {
  auto credential = make_scram_credential(base64_encode(hmac), mechanism);
  CHECK(credential.ok());
  return std::move(*credential);
}

}  // namespace broker::security
