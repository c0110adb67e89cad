#include "broker/node/options.h"

#include <unistd.h>

namespace broker::node {
namespace {

io::ClientAuth client_auth(config::SslClientAuth auth) {
  switch (auth) {
    case config::SslClientAuth::kNone:
      return io::ClientAuth::kNone;
    case config::SslClientAuth::kRequested:
      return io::ClientAuth::kRequested;
    case config::SslClientAuth::kRequired:
      return io::ClientAuth::kRequired;
  }
  return io::ClientAuth::kNone;
}

io::TlsServerOptions tls_options(const config::TlsSettings& tls) {
  io::TlsServerOptions options;
  // One PEM file holds the key and the chain.
  options.certificate_chain_path = tls.keystore_path;
  options.private_key_path = tls.keystore_path;
  options.client_ca_path = tls.truststore_path;
  options.client_auth = client_auth(tls.client_auth);
  if (!tls.protocols.empty()) options.protocols = tls.protocols;
  options.cipher_suites = tls.cipher_suites;
  return options;
}

server::ListenerOptions listener_options(const config::BrokerConfig& config,
                                         const config::Listener& listener) {
  server::ListenerOptions options;
  options.name = listener.name;
  options.protocol = listener.protocol;
  options.bind = {listener.bind.host, listener.bind.port};
  if (uses_tls(listener.protocol)) {
    options.tls = tls_options(listener.tls);
    options.principal_mapping_rules = listener.tls.principal_mapping_rules;
  }
  if (uses_sasl(listener.protocol)) {
    options.sasl_mechanisms = listener.sasl.enabled_mechanisms;
    options.limits.max_sasl_token_bytes = listener.sasl.max_receive_size;
  }
  options.limits.max_request_bytes = config.socket_request_max_bytes;
  options.limits.max_idle = std::chrono::milliseconds(config.connections_max_idle_ms);
  options.limits.failed_authentication_delay =
      std::chrono::milliseconds(config.connection_failed_authentication_delay_ms);
  options.limits.max_connections = listener.max_connections;
  return options;
}

}  // namespace

server::ServerOptions server_options(const config::BrokerConfig& config,
                                     std::size_t request_memory) {
  server::ServerOptions options;
  options.max_request_memory = request_memory;
  for (const auto& listener : config.listeners.listeners) {
    options.listeners.push_back(listener_options(config, listener));
  }
  return options;
}

config::BrokerConfig with_advertised_hosts(config::BrokerConfig config) {
  char name[256] = {};
  const std::string host = gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
  for (auto& listener : config.listeners.listeners) {
    if (listener.advertised.host.empty()) listener.advertised.host = host;
  }
  return config;
}

controller::ControllerOptions controller_options(const config::BrokerConfig& config,
                                                 const std::string& cluster_id,
                                                 metadata::MetadataRecords bootstrap,
                                                 std::uint64_t seed) {
  controller::ControllerOptions options;
  options.node_id = config.node_id;
  options.cluster_id = cluster_id;
  options.default_num_partitions = config.num_partitions;
  options.default_replication_factor = static_cast<std::int16_t>(config.default_replication_factor);
  options.delete_topic_enable = config.delete_topic_enable;
  options.session_timeout_ms = config.broker_session_timeout_ms;
  options.static_values = config.values;
  options.bootstrap_records = std::move(bootstrap);
  options.seed = seed;
  for (const auto& listener : config.listeners.listeners) {
    if (!listener.is_controller) continue;
    options.endpoints.push_back({listener.name, listener.advertised.host, listener.advertised.port,
                                 static_cast<std::int16_t>(listener.protocol)});
  }
  return options;
}

quorum::MetadataLogOptions metadata_log_options(const config::BrokerConfig& config,
                                                const std::string& cluster_id,
                                                const DirectoryId& directory_id) {
  quorum::MetadataLogOptions options;
  options.cluster_id = cluster_id;
  options.node_id = config.node_id;
  options.directory_id = directory_id;
  options.snapshot_after_bytes = config.metadata_log_max_record_bytes_between_snapshots;
  options.snapshot_after = std::chrono::milliseconds(config.metadata_log_max_snapshot_interval_ms);
  options.retention_bytes = config.metadata_max_retention_bytes;
  options.fetch_max_bytes = config.controller_quorum_fetch_max_bytes;
  return options;
}

storage::LogOptions metadata_storage_options(const config::BrokerConfig& config) {
  storage::LogOptions options;
  options.segment_bytes = config.metadata_log_segment_bytes;
  options.segment_ms = config.metadata_log_segment_ms;
  // Snapshots decide what is deleted, never time or size.
  options.retention_ms = -1;
  options.retention_bytes = -1;
  options.max_message_bytes = config.metadata_log_segment_bytes;
  return options;
}

replication::ReplicaManagerOptions replica_options(const config::BrokerConfig& config) {
  replication::ReplicaManagerOptions options;
  options.node = config.node_id;
  options.static_config = config.values;
  options.replica_lag_time_max = std::chrono::milliseconds(config.replica_lag_time_max_ms);
  options.retention_check_interval =
      std::chrono::milliseconds(config.log_retention_check_interval_ms);
  options.checkpoint_interval =
      std::chrono::milliseconds(config.replica_high_watermark_checkpoint_interval_ms);
  options.producer_id_expiration_ms = config.producer_id_expiration_ms;
  return options;
}

coordinator::group::GroupOptions group_options(const config::BrokerConfig& config) {
  coordinator::group::GroupOptions options;
  options.min_session_timeout = std::chrono::milliseconds(config.group_min_session_timeout_ms);
  options.max_session_timeout = std::chrono::milliseconds(config.group_max_session_timeout_ms);
  options.initial_rebalance_delay =
      std::chrono::milliseconds(config.group_initial_rebalance_delay_ms);
  options.max_group_size = static_cast<std::size_t>(config.group_max_size);
  options.offset_metadata_max_bytes = static_cast<std::size_t>(config.offset_metadata_max_bytes);
  options.offsets_retention = std::chrono::minutes(config.offsets_retention_minutes);
  options.offsets_retention_check_interval =
      std::chrono::milliseconds(config.offsets_retention_check_interval_ms);
  return options;
}

}  // namespace broker::node
