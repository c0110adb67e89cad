#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "operator/pki/certificates.h"

namespace op::pki {

/// What a server shows in a TLS handshake.
struct ServedTls {
  CertificateFacts leaf;
  std::vector<std::string> asked_for;  // names of the CAs whose client certificates it takes
  /// The issuer's key of the client certificate by which it let us in: proof that it trusts that
  /// CA. "" when it took none of ours.
  std::string accepted_issuer_key_id;
};

struct ProbeOptions {
  std::string trusted_pem;  // CAs that may have signed its certificate; names are not looked at
  /// The first one whose issuer the server names is shown; none if it names none of them, so that
  /// no handshake fails for asking.
  std::vector<KeyPair> identities;
  std::chrono::milliseconds timeout{1000};  // for each step; a name server's time comes on top
};

/// One handshake and, when a client certificate was shown, Kafka's ApiVersions: TLS 1.3 lets a
/// client finish before the server has looked at its certificate. Blocks. Errors:
/// kNetworkException in the words of OpenSSL or the system; kInvalidRequest for PEM that does not
/// parse.
broker::Result<ServedTls> probe(const std::string& host, std::uint16_t port,
                                const ProbeOptions& options);

}  // namespace op::pki
