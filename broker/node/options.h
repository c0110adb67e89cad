#pragma once

#include <cstddef>

#include "broker/common/rate.h"
#include "broker/config/broker_config.h"
#include "broker/controller/routing_channel.h"
#include "broker/controller/types.h"
#include "broker/coordinator/group/options.h"
#include "broker/coordinator/transaction/options.h"
#include "broker/quorum/metadata_log.h"
#include "broker/replication/replica_manager.h"
#include "broker/server/server.h"

namespace broker::node {

/// What of server.properties each module needs, in the module's own terms: nobody below node/ reads
/// configuration.

/// `request_memory`: bytes of request bodies in memory at once, all connections together.
server::ServerOptions server_options(const config::BrokerConfig& config,
                                     std::size_t request_memory);
/// As they are in force on this node now.
server::ConnectionLimits connection_limits(const config::BrokerConfig& config,
                                           const metadata::MetadataImage& image);
RateWindow client_quota_window(const config::BrokerConfig& config);
/// The configuration with every empty advertised host filled in by this machine's name, as Kafka
/// does.
config::BrokerConfig with_advertised_hosts(config::BrokerConfig config);
controller::ControllerOptions controller_options(const config::BrokerConfig& config,
                                                 const std::string& cluster_id,
                                                 metadata::MetadataRecords bootstrap,
                                                 std::uint64_t seed);
quorum::MetadataLogOptions metadata_log_options(const config::BrokerConfig& config,
                                                const std::string& cluster_id,
                                                const DirectoryId& directory_id,
                                                std::uint64_t seed);
controller::RouterOptions router_options(const config::BrokerConfig& config,
                                         client::ConnectionOptions connection);
storage::LogOptions metadata_storage_options(const config::BrokerConfig& config);
replication::ReplicaManagerOptions replica_options(const config::BrokerConfig& config,
                                                   std::uint64_t seed);
coordinator::group::GroupOptions group_options(const config::BrokerConfig& config);
coordinator::transaction::TransactionOptions transaction_options(
    const config::BrokerConfig& config);

}  // namespace broker::node
