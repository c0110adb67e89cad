#include "broker/node/options.h"

#include <unistd.h>

#include <charconv>
#include <map>

#include "broker/config/text.h"
#include "broker/metadata/effective_configs.h"

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
    options.sasl.mechanisms = listener.sasl.enabled_mechanisms;
    for (const auto& [mechanism, ms] : listener.sasl.max_reauth_ms)
      options.sasl.max_reauth[mechanism] = std::chrono::milliseconds(ms);
    options.limits.max_sasl_token_bytes = listener.sasl.max_receive_size;
  }
  options.limits.max_request_bytes = config.socket_request_max_bytes;
  options.limits.max_idle = std::chrono::milliseconds(config.connections_max_idle_ms);
  options.limits.failed_authentication_delay =
      std::chrono::milliseconds(config.connection_failed_authentication_delay_ms);
  return options;
}

io::Endpoint endpoint_of(const config::HostPort& address) { return {address.host, address.port}; }

void take_quorum(const config::BrokerConfig& config, quorum::MetadataLogOptions& options) {
  options.is_controller = config.is_controller;
  for (const auto& listener : config.listeners.listeners) {
    if (!listener.is_controller) continue;
    options.listeners.push_back({listener.name, endpoint_of(listener.advertised)});
  }
  const std::string& listener = config.listeners.controller.listener;
  for (const auto& voter : config.quorum_voters) {
    options.static_voters.push_back({voter.id, kZeroUuid, listener, endpoint_of(voter.endpoint)});
  }
  for (const auto& server : config.quorum_bootstrap_servers) {
    options.bootstrap_servers.push_back(endpoint_of(server));
  }
  options.auto_join = config.controller_quorum_auto_join_enable;
  options.election_timeout =
      std::chrono::milliseconds(config.controller_quorum_election_timeout_ms);
  options.election_backoff_max =
      std::chrono::milliseconds(config.controller_quorum_election_backoff_max_ms);
  // Kafka's default of two seconds is longer than a frozen leader needs to be borne.
  if (config.values.contains("controller.quorum.fetch.timeout.ms")) {
    options.fetch_timeout = std::chrono::milliseconds(config.controller_quorum_fetch_timeout_ms);
  }
  options.request_timeout = std::chrono::milliseconds(config.controller_quorum_request_timeout_ms);
}

/// "10.0.0.1:5,localhost:10". Names are not looked up: a connection is known by its address.
std::map<std::string, std::int32_t> per_ip_overrides(const std::string& text) {
  std::map<std::string, std::int32_t> overrides;
  for (const std::string& entry : config::to_list(text)) {
    const auto colon = entry.rfind(':');
    if (colon == entry.npos) continue;
    std::string host = entry.substr(0, colon);
    if (host == "localhost") host = "127.0.0.1";
    std::int32_t most = 0;
    const auto parsed =
        std::from_chars(entry.data() + colon + 1, entry.data() + entry.size(), most);
    if (parsed.ec == std::errc() && parsed.ptr == entry.data() + entry.size())
      overrides[host] = most;
  }
  return overrides;
}

}  // namespace

server::ConnectionLimits connection_limits(const config::BrokerConfig& config,
                                           const metadata::MetadataImage& image) {
  const metadata::EffectiveConfigs effective(image.configs, config.node_id, config.values);
  const config::ConfigMap& own = image.configs.of(
      {metadata::ConfigResourceType::kBroker, std::to_string(config.node_id.value)});
  const auto number = [&](const std::string& key) {
    return static_cast<std::int32_t>(config::to_integer(*effective.broker(key)));
  };
  // listener.name.<l>.<key>, or what holds for the broker.
  const auto of_listener = [&](const std::string& prefix, const std::string& key) {
    for (const config::ConfigMap* values : {&own, &config.values})
      if (const auto found = values->find(prefix + key); found != values->end())
        return static_cast<std::int32_t>(config::to_integer(found->second));
    return number(key);
  };
  server::ConnectionLimits limits;
  limits.max_connections = number("max.connections");
  limits.creation_rate = number("max.connection.creation.rate");
  limits.max_per_ip = number("max.connections.per.ip");
  limits.max_per_ip_overrides =
      per_ip_overrides(effective.broker("max.connections.per.ip.overrides").value_or(""));
  for (const auto& listener : config.listeners.listeners) {
    const std::string prefix = config::listener_prefix(listener.name);
    limits.listeners[listener.name] = {of_listener(prefix, "max.connections"),
                                       of_listener(prefix, "max.connection.creation.rate")};
  }
  limits.protected_listener = config.listeners.inter_broker_listener;
  for (const auto& listener : config.listeners.listeners)
    if (listener.is_controller) limits.separate_listeners.insert(listener.name);
  limits.quotas = image.client_quotas;
  return limits;
}

server::ServerOptions server_options(const config::BrokerConfig& config,
                                     std::size_t request_memory) {
  server::ServerOptions options;
  options.max_request_memory = request_memory;
  options.connection_rate_window = client_quota_window(config);
  for (const auto& listener : config.listeners.listeners) {
    options.listeners.push_back(listener_options(config, listener));
  }
  return options;
}

namespace {

/// `prefix`: of the keys window.num and window.size.seconds, which never change at run time.
RateWindow rate_window(const config::BrokerConfig& config, const std::string& prefix) {
  const metadata::ConfigsImage none;
  const metadata::EffectiveConfigs fixed(none, config.node_id, config.values);
  const auto number = [&](const char* key) {
    return config::to_integer(*fixed.broker(prefix + key));
  };
  return {static_cast<std::int32_t>(number("window.num")),
          std::chrono::seconds(number("window.size.seconds"))};
}

}  // namespace

RateWindow client_quota_window(const config::BrokerConfig& config) {
  return rate_window(config, "quota.");
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
  options.may_be_active = config.is_controller;
  options.session_timeout_ms = config.broker_session_timeout_ms;
  options.auto_leader_rebalance_enable = config.auto_leader_rebalance_enable;
  options.leader_imbalance_check_interval_ms =
      config.leader_imbalance_check_interval_seconds * 1000;
  options.unclean_leader_election_interval_ms = config.unclean_leader_election_interval_ms;
  // Only where it is asked for: an idle cluster writes nothing.
  if (config.values.contains("metadata.max.idle.interval.ms")) {
    options.max_idle_interval_ms = config.metadata_max_idle_interval_ms;
  }
  options.delegation_tokens = {
      config.delegation_token_secret_key, config.delegation_token_max_lifetime_ms,
      config.delegation_token_expiry_time_ms, config.delegation_token_expiry_check_interval_ms};
  options.static_values = config.values;
  options.bootstrap_records = std::move(bootstrap);
  options.seed = seed;
  options.mutation_window = rate_window(config, "controller.quota.");
  for (const auto& listener : config.listeners.listeners) {
    if (!listener.is_controller) continue;
    options.endpoints.push_back({listener.name, listener.advertised.host, listener.advertised.port,
                                 static_cast<std::int16_t>(listener.protocol)});
  }
  return options;
}

quorum::MetadataLogOptions metadata_log_options(const config::BrokerConfig& config,
                                                const std::string& cluster_id,
                                                const DirectoryId& directory_id,
                                                std::uint64_t seed) {
  quorum::MetadataLogOptions options;
  options.cluster_id = cluster_id;
  options.node_id = config.node_id;
  options.directory_id = directory_id;
  options.snapshot_after_bytes = config.metadata_log_max_record_bytes_between_snapshots;
  options.snapshot_after = std::chrono::milliseconds(config.metadata_log_max_snapshot_interval_ms);
  options.retention_bytes = config.metadata_max_retention_bytes;
  options.fetch_max_bytes = config.controller_quorum_fetch_max_bytes;
  options.seed = seed;
  take_quorum(config, options);
  return options;
}

controller::RouterOptions router_options(const config::BrokerConfig& config,
                                         client::ConnectionOptions connection) {
  controller::RouterOptions options;
  options.node = config.node_id;
  options.connection = std::move(connection);
  // Half a session, as Kafka: a heartbeat that waits longer is worth nothing any more.
  options.own_timeout = std::chrono::milliseconds(config.broker_session_timeout_ms / 2);
  options.caller_timeout = std::chrono::milliseconds(config.request_timeout_ms);
  options.min_backoff = std::chrono::milliseconds(config.controller_quorum_retry_backoff_ms);
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

replication::ReplicaManagerOptions replica_options(const config::BrokerConfig& config,
                                                   std::uint64_t seed) {
  replication::ReplicaManagerOptions options;
  options.node = config.node_id;
  options.static_config = config.values;
  options.replica_lag_time_max = std::chrono::milliseconds(config.replica_lag_time_max_ms);
  options.retention_check_interval =
      std::chrono::milliseconds(config.log_retention_check_interval_ms);
  options.checkpoint_interval =
      std::chrono::milliseconds(config.replica_high_watermark_checkpoint_interval_ms);
  options.producer_id_expiration_ms = config.producer_id_expiration_ms;
  options.replica_fetch_wait_max = std::chrono::milliseconds(config.replica_fetch_wait_max_ms);
  options.replica_fetch_backoff = std::chrono::milliseconds(config.replica_fetch_backoff_ms);
  options.replica_fetch_min_bytes = config.replica_fetch_min_bytes;
  options.replica_fetch_max_bytes = config.replica_fetch_max_bytes;
  options.replica_fetch_response_max_bytes = config.replica_fetch_response_max_bytes;
  options.rack_aware_reads = !config.replica_selector_class.empty();
  options.seed = seed;
  return options;
}

namespace {

coordinator::group::MigrationPolicy migration_policy(std::string text) {
  using coordinator::group::MigrationPolicy;
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  if (text == "upgrade") return MigrationPolicy::kUpgrade;
  if (text == "downgrade") return MigrationPolicy::kDowngrade;
  if (text == "disabled") return MigrationPolicy::kDisabled;
  return MigrationPolicy::kBidirectional;  // no other text is accepted
}

coordinator::group::ConsumerOptions consumer_options(const config::BrokerConfig& config) {
  coordinator::group::ConsumerOptions options;
  options.settings.session_timeout =
      std::chrono::milliseconds(config.group_consumer_session_timeout_ms);
  options.settings.heartbeat_interval =
      std::chrono::milliseconds(config.group_consumer_heartbeat_interval_ms);
  options.settings.assignment_interval =
      std::chrono::milliseconds(config.group_consumer_assignment_interval_ms);
  options.max_size = static_cast<std::size_t>(config.group_consumer_max_size);
  options.assignors = config.group_consumer_assignors;
  options.regex_refresh_interval =
      std::chrono::milliseconds(config.group_consumer_regex_refresh_interval_ms);
  options.migration = migration_policy(config.group_consumer_migration_policy);
  return options;
}

}  // namespace

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
  options.consumer = consumer_options(config);
  return options;
}

coordinator::transaction::TransactionOptions transaction_options(
    const config::BrokerConfig& config) {
  using std::chrono::milliseconds;
  coordinator::transaction::TransactionOptions options;
  options.max_timeout = milliseconds(config.transaction_max_timeout_ms);
  options.id_expiration = milliseconds(config.transactional_id_expiration_ms);
  options.abort_check_interval =
      milliseconds(config.transaction_abort_timed_out_transaction_cleanup_interval_ms);
  options.expiration_check_interval =
      milliseconds(config.transaction_remove_expired_transaction_cleanup_interval_ms);
  return options;
}

}  // namespace broker::node
