#pragma once

#include <string_view>

#include "broker/security/scram.h"

namespace broker::security {

/// The password of a delegation token (KIP-48), which nobody stores: HMAC-SHA-512 of the token's id
/// under `delegation.token.secret.key`.
Bytes delegation_token_hmac(std::string_view secret_key, std::string_view token_id);

/// What a server needs to let the token in by SCRAM: its password is the HMAC in base64. PBKDF2:
/// 1 to 2 ms.
ScramCredential delegation_token_credential(ScramMechanism mechanism,
                                            std::span<const std::uint8_t> hmac);

}  // namespace broker::security
