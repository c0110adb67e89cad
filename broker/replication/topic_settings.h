#pragma once

#include <chrono>

#include "broker/config/topic_config.h"
#include "broker/replication/partition.h"
#include "broker/storage/log_options.h"

namespace broker::replication {

/// What a topic's effective configuration means for its logs.
storage::LogOptions to_log_options(const config::TopicConfig& config,
                                   std::int64_t producer_id_expiration_ms);
/// What it means for the leader of its partitions.
Partition::Settings to_settings(const config::TopicConfig& config,
                                std::chrono::milliseconds replica_lag_time_max);

}  // namespace broker::replication
