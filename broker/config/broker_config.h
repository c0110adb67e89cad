#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/config/config_def.h"
#include "broker/config/listeners.h"
#include "broker/config/properties.h"

namespace broker::config {

struct QuorumVoter {
  BrokerId id;
  HostPort endpoint;

  bool operator==(const QuorumVoter&) const = default;
};

/// server.properties, typed. Immutable after start: what changes at run time is in
/// metadata::EffectiveConfigs. Names are the keys' names; milliseconds and bytes as they say.
struct BrokerConfig {
  /// The static values as written (last one wins), known keys and listener.name.* alike.
  ConfigMap values;

  bool is_broker = false;  // process.roles
  bool is_controller = false;
  BrokerId node_id;
  std::optional<std::string> rack;
  std::vector<std::string> log_dirs;
  std::string metadata_log_dir;

  ListenerSet listeners;
  std::vector<QuorumVoter> quorum_voters;          // controller.quorum.voters (static quorum)
  std::vector<HostPort> quorum_bootstrap_servers;  // controller.quorum.bootstrap.servers

  std::string authorizer_class_name;     // "" = everything is allowed
  std::vector<std::string> super_users;  // "User:alice"
  bool allow_everyone_if_no_acl_found = false;

  std::string delegation_token_secret_key;  // "" = no delegation tokens
  std::int64_t delegation_token_max_lifetime_ms = 604800000;
  std::int64_t delegation_token_expiry_time_ms = 86400000;
  std::int64_t delegation_token_expiry_check_interval_ms = 3600000;

  std::int32_t num_network_threads = 3;
  std::int32_t num_io_threads = 8;
  std::int32_t background_threads = 10;
  std::int32_t num_recovery_threads_per_data_dir = 2;
  std::int32_t queued_max_requests = 500;
  std::int64_t queued_max_request_bytes = -1;
  std::int32_t socket_request_max_bytes = 104857600;
  std::int32_t socket_send_buffer_bytes = 102400;
  std::int32_t socket_receive_buffer_bytes = 102400;
  std::int32_t socket_listen_backlog_size = 50;
  std::int64_t connections_max_idle_ms = 600000;
  std::int32_t connection_failed_authentication_delay_ms = 100;
  std::int32_t request_timeout_ms = 30000;

  bool auto_create_topics_enable = true;
  std::int32_t num_partitions = 1;
  std::int32_t default_replication_factor = 1;
  bool delete_topic_enable = true;
  std::int32_t max_request_partition_size_limit = 2000;  // of a DescribeTopicPartitions answer
  std::int64_t log_retention_check_interval_ms = 300000;
  std::int64_t log_initial_task_delay_ms = 30000;
  std::int64_t log_flush_scheduler_interval_ms = INT64_MAX;
  std::int32_t log_flush_offset_checkpoint_interval_ms = 60000;
  std::int32_t log_flush_start_offset_checkpoint_interval_ms = 60000;
  std::int64_t replica_lag_time_max_ms = 30000;
  std::int64_t replica_high_watermark_checkpoint_interval_ms = 5000;
  std::int32_t num_replica_fetchers = 1;
  std::int32_t replica_fetch_min_bytes = 1;
  std::int32_t replica_fetch_max_bytes = 1048576;
  std::int32_t replica_fetch_response_max_bytes = 10485760;
  std::int32_t replica_fetch_wait_max_ms = 500;
  std::int32_t replica_fetch_backoff_ms = 1000;
  std::int32_t replica_socket_timeout_ms = 30000;
  std::string replica_selector_class;  // "" or RackAwareReplicaSelector
  std::int32_t fetch_max_bytes = 57671680;
  std::int32_t max_incremental_fetch_session_cache_slots = 1000;
  std::int32_t producer_id_expiration_ms = 86400000;
  std::int32_t producer_id_expiration_check_interval_ms = 600000;

  bool controlled_shutdown_enable = true;
  std::int32_t broker_heartbeat_interval_ms = 2000;
  std::int32_t broker_session_timeout_ms = 9000;
  std::int32_t initial_broker_registration_timeout_ms = 60000;
  bool auto_leader_rebalance_enable = true;
  std::int64_t leader_imbalance_check_interval_seconds = 300;
  std::int64_t unclean_leader_election_interval_ms = 300000;
  std::int32_t controller_quorum_election_timeout_ms = 1000;
  std::int32_t controller_quorum_election_backoff_max_ms = 1000;
  std::int32_t controller_quorum_fetch_timeout_ms = 2000;
  std::int32_t controller_quorum_request_timeout_ms = 2000;
  std::int32_t controller_quorum_retry_backoff_ms = 20;
  bool controller_quorum_auto_join_enable = false;
  std::int32_t controller_quorum_append_linger_ms = 25;
  std::int32_t controller_quorum_fetch_max_bytes = 1048576;
  std::int64_t metadata_log_max_record_bytes_between_snapshots = 20971520;
  std::int64_t metadata_log_max_snapshot_interval_ms = 3600000;
  std::int32_t metadata_log_segment_bytes = 1073741824;
  std::int64_t metadata_log_segment_ms = 604800000;
  std::int64_t metadata_max_retention_bytes = 104857600;
  std::int64_t metadata_max_retention_ms = 604800000;
  std::int32_t metadata_max_idle_interval_ms = 500;

  std::int32_t offsets_topic_num_partitions = 50;
  std::int16_t offsets_topic_replication_factor = 3;
  std::int32_t offsets_topic_segment_bytes = 104857600;
  std::int32_t offsets_retention_minutes = 10080;
  std::int64_t offsets_retention_check_interval_ms = 600000;
  std::int32_t offset_metadata_max_bytes = 4096;
  std::int32_t offsets_commit_timeout_ms = 5000;
  std::int32_t transaction_state_log_num_partitions = 50;
  std::int16_t transaction_state_log_replication_factor = 3;
  std::int32_t transaction_state_log_min_isr = 2;
  std::int32_t transaction_state_log_segment_bytes = 104857600;
  std::int32_t transaction_max_timeout_ms = 900000;
  std::int32_t transactional_id_expiration_ms = 604800000;
  std::int32_t transaction_abort_timed_out_transaction_cleanup_interval_ms = 10000;
  std::int32_t transaction_remove_expired_transaction_cleanup_interval_ms = 3600000;
  std::int32_t add_partitions_to_txn_retry_backoff_ms = 20;
  std::int32_t add_partitions_to_txn_retry_backoff_max_ms = 100;
  std::int32_t group_initial_rebalance_delay_ms = 3000;
  std::int32_t group_min_session_timeout_ms = 6000;
  std::int32_t group_max_session_timeout_ms = 1800000;
  std::int32_t group_max_size = 2147483647;
  std::vector<std::string> group_coordinator_rebalance_protocols{"classic", "consumer", "streams"};
  std::int32_t group_consumer_session_timeout_ms = 45000;
  std::int32_t group_consumer_heartbeat_interval_ms = 5000;
  std::int32_t group_consumer_assignment_interval_ms = 1000;
  std::int32_t group_consumer_max_size = 2147483647;
  std::vector<std::string> group_consumer_assignors{"uniform", "range"};
  std::string group_consumer_migration_policy = "bidirectional";
  std::int32_t group_consumer_regex_refresh_interval_ms = 600000;

  const Listener* find_listener(std::string_view name) const;
};

struct ParsedBrokerConfig {
  BrokerConfig config;
  std::vector<std::string> warnings;  // one line each: "server.properties:12: unknown key x …"
};

/// `file_name` is for messages. Errors: one kInvalidConfig whose detail names the file (and line),
/// the key and what is allowed. `read_file` serves config.providers.
Result<ParsedBrokerConfig> parse_broker_config(std::string_view text, std::string_view file_name,
                                               const FileReader& read_file);

/// From pairs that were not read from a file (the `dev` command).
Result<ParsedBrokerConfig> make_broker_config(std::vector<Property> properties,
                                              std::string_view source_name);

}  // namespace broker::config
