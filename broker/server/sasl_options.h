#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace broker::server {

/// What a listener accepts of those who log in.
struct SaslOptions {
  std::vector<std::string> mechanisms;
  /// connections.max.reauth.ms by mechanism: a session that is used for longer without a new
  /// authentication ends (KIP-368). None: as long as its connection, or its token.
  std::map<std::string, std::chrono::milliseconds> max_reauth;
};

}  // namespace broker::server
