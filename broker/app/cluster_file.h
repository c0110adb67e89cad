#pragma once

#include <string>

#include "broker/config/broker_config.h"
#include "broker/io/file.h"

namespace broker::app {

/// Formats an empty disk as cluster.json says, and leaves a formatted one alone. cluster.json:
/// {"clusterId": "…", "formatted": false, "initialControllers": [{"id": 0, "directoryId": "…",
/// "host": "…", "port": 9090}]} Errors: kInvalidConfig; kInconsistentClusterId; kKafkaStorageError
/// when the disk is empty although the cluster was formatted before ("formatted": true): its data
/// is somewhere else, or lost, and must not be replaced silently.
Result<void> format_from_cluster_file(io::FileSystem& fs, const config::BrokerConfig& config,
                                      const std::string& path);

/// Formats this node's directories with itself as the only voter.
Result<void> format_standalone(io::FileSystem& fs, const config::BrokerConfig& config,
                               const std::string& cluster_id);

}  // namespace broker::app
