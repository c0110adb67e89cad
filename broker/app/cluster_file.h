#pragma once

#include <string>

#include "broker/config/broker_config.h"
#include "broker/io/file.h"

namespace broker::app {

/// Formats an empty disk as cluster.json says, and leaves a formatted one alone. cluster.json:
/// {"clusterId": "…", "formatted": false, "initialControllers": [{"id": 0, "directoryId": "…",
/// "host": "…", "port": 9090, "formatted": false}]}. A listed node takes its directory id and
/// writes all of them as the first voters; every other node draws a directory id and joins as an
/// observer (KIP-853). So does a listed node that was formatted before (its own "formatted", or the
/// cluster's where it has none): its disk is lost, and its vote with it.
/// Errors: kInvalidConfig; kInconsistentClusterId; kKafkaStorageError when such a node is the only
/// one listed: the cluster's metadata is somewhere else, or lost, and must not be replaced
/// silently.
Result<void> format_from_cluster_file(io::FileSystem& fs, const config::BrokerConfig& config,
                                      const std::string& path);

/// Formats this node's directories with itself as the only voter.
Result<void> format_standalone(io::FileSystem& fs, const config::BrokerConfig& config,
                               const std::string& cluster_id);

}  // namespace broker::app
