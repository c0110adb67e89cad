#pragma once

#include <functional>
#include <string>

#include "broker/app/machine.h"
#include "broker/config/broker_config.h"

namespace broker::app {

struct ServeOptions {
  config::BrokerConfig config;
  std::string http_listen;  // host:port of health and metrics; "" = none
  /// Called on the main thread once clients are served. `http`: where health and metrics are, or
  /// nothing.
  std::function<void(const node::Node& node, const std::optional<io::Endpoint>& http)> on_ready;
};

/// Runs a formatted node until SIGTERM or SIGINT, then stops it cleanly. Returns the exit code.
int serve(Machine& machine, ServeOptions options);

/// "host:port", "[::1]:9092", ":9092". Errors: kInvalidConfig.
Result<io::Endpoint> parse_endpoint(const std::string& text);

/// One line on standard error, exit code 1.
int fail(const std::string& what);

}  // namespace broker::app
