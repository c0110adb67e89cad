#pragma once

#include <string>
#include <vector>

#include "broker/config/broker_config.h"
#include "broker/io/file.h"

namespace broker::app {

/// Reads server.properties, lays `overlay_directory`/<node id>.properties and then `overrides`
/// ("key=value") over it, and logs a warning per unknown key. Errors: kInvalidConfig naming file,
/// key and what is allowed.
Result<config::BrokerConfig> load_config(io::FileSystem& fs, const std::string& path,
                                         const std::string& overlay_directory,
                                         bool node_id_from_hostname,
                                         const std::vector<std::string>& overrides);

/// "key=value". Errors: kInvalidConfig.
Result<config::Property> parse_override(const std::string& text);

}  // namespace broker::app
