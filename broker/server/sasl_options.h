#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/security/sasl.h"

namespace broker::server {

/// What a listener accepts of those who log in.
struct SaslOptions {
  std::vector<std::string> mechanisms;
  /// connections.max.reauth.ms by mechanism: a session that is used for longer without a new
  /// authentication ends (KIP-368). None: as long as its connection, or its token.
  std::map<std::string, std::chrono::milliseconds> max_reauth;
  /// For OAUTHBEARER.
  std::shared_ptr<const security::BearerValidator> bearers;
};

}  // namespace broker::server
