#pragma once

#include <map>
#include <optional>
#include <string>

#include "operator/controllers/context.h"

namespace op::controllers {

/// A certificate that the user gave for a listener.
struct ListenerMaterial {
  std::string keystore_pem;              // "": cannot be used
  std::string ca_pem;                    // what clients have to trust for it; "" where nothing says
  std::optional<plan::Verdict> problem;  // why it cannot be used
};
/// Of the listeners with a certificateSecretRef, by name. These Secrets are not ours and not
/// watched: they are read from the source.
std::map<std::string, ListenerMaterial> read_listener_certificates(const Context& context,
                                                                   const api::Cluster& cluster);
/// So often they are looked at again.
inline constexpr std::chrono::seconds kLookAtProvidedCertificates{30};

}  // namespace op::controllers
