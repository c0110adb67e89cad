#pragma once

#include <optional>
#include <string>

#include "operator/controllers/context.h"
#include "operator/pki/certificates.h"

namespace op::controllers {

/// A CA that the user gave.
struct ProvidedCaMaterial {
  pki::KeyPair pair;                     // its key, and its certificate alone
  std::string above_pem;                 // the CAs above it
  std::optional<plan::Verdict> problem;  // why it cannot be used
};
/// From tls.crt, tls.key and ca.crt as cert-manager writes them, or from ca.crt and ca.key. The
/// Secret is not ours and not watched: it is read from the source.
ProvidedCaMaterial read_provided_ca(const Context& context, const api::Cluster& cluster,
                                    const std::string& secret);

}  // namespace op::controllers
