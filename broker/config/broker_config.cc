#include "broker/config/broker_config.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <type_traits>

#include "broker/config/text.h"

namespace broker::config {
namespace {

constexpr std::string_view kListenerPrefix = "listener.name.";

/// listener.name.<listener>.[<mechanism>.]<key> carries a known key at its end.
bool is_listener_key(std::string_view name) {
  if (name.rfind(kListenerPrefix, 0) != 0) return false;
  for (std::size_t dot = name.find('.', kListenerPrefix.size()); dot != name.npos;
       dot = name.find('.', dot + 1))
    if (ConfigDef::broker().find(name.substr(dot + 1)) != nullptr) return true;
  return false;
}

std::string at(std::string_view source, int line) {
  std::string out(source);
  if (line > 0) out += ":" + std::to_string(line);
  return out + ": ";
}

/// Typed access to values that were validated before.
class Fields {
 public:
  explicit Fields(const ConfigMap& values) : values_(values) {}

  std::optional<std::string> text(std::string_view key) const {
    if (const auto it = values_.find(key); it != values_.end())
      return std::string(trim(it->second));
    const ConfigKey* known = ConfigDef::broker().find(key);
    CHECK(known != nullptr);
    return known->default_value;
  }
  template <class T>
  void take(std::string_view key, T& field) const {
    const auto value = text(key);
    if (!value) return;
    if constexpr (std::is_same_v<T, bool>)
      field = to_boolean(*value);
    else if constexpr (std::is_integral_v<T>)
      field = static_cast<T>(to_integer(*value));
    else
      field = *value;
  }

 private:
  const ConfigMap& values_;
};

void take_network(const Fields& f, BrokerConfig& c) {
  f.take("num.network.threads", c.num_network_threads);
  f.take("num.io.threads", c.num_io_threads);
  f.take("background.threads", c.background_threads);
  f.take("num.recovery.threads.per.data.dir", c.num_recovery_threads_per_data_dir);
  f.take("queued.max.requests", c.queued_max_requests);
  f.take("queued.max.request.bytes", c.queued_max_request_bytes);
  f.take("socket.request.max.bytes", c.socket_request_max_bytes);
  f.take("socket.send.buffer.bytes", c.socket_send_buffer_bytes);
  f.take("socket.receive.buffer.bytes", c.socket_receive_buffer_bytes);
  f.take("socket.listen.backlog.size", c.socket_listen_backlog_size);
  f.take("connections.max.idle.ms", c.connections_max_idle_ms);
  f.take("connection.failed.authentication.delay.ms", c.connection_failed_authentication_delay_ms);
  f.take("delegation.token.secret.key", c.delegation_token_secret_key);
  f.take("delegation.token.max.lifetime.ms", c.delegation_token_max_lifetime_ms);
  f.take("delegation.token.expiry.time.ms", c.delegation_token_expiry_time_ms);
  f.take("delegation.token.expiry.check.interval.ms", c.delegation_token_expiry_check_interval_ms);
  f.take("request.timeout.ms", c.request_timeout_ms);
  f.take("max.request.partition.size.limit", c.max_request_partition_size_limit);
}

void take_log(const Fields& f, BrokerConfig& c) {
  f.take("auto.create.topics.enable", c.auto_create_topics_enable);
  f.take("num.partitions", c.num_partitions);
  f.take("default.replication.factor", c.default_replication_factor);
  f.take("delete.topic.enable", c.delete_topic_enable);
  f.take("log.retention.check.interval.ms", c.log_retention_check_interval_ms);
  f.take("log.initial.task.delay.ms", c.log_initial_task_delay_ms);
  f.take("log.flush.scheduler.interval.ms", c.log_flush_scheduler_interval_ms);
  f.take("log.flush.offset.checkpoint.interval.ms", c.log_flush_offset_checkpoint_interval_ms);
  f.take("log.flush.start.offset.checkpoint.interval.ms",
         c.log_flush_start_offset_checkpoint_interval_ms);
  f.take("replica.lag.time.max.ms", c.replica_lag_time_max_ms);
  f.take("replica.high.watermark.checkpoint.interval.ms",
         c.replica_high_watermark_checkpoint_interval_ms);
  f.take("fetch.max.bytes", c.fetch_max_bytes);
  f.take("max.incremental.fetch.session.cache.slots", c.max_incremental_fetch_session_cache_slots);
  f.take("producer.id.expiration.ms", c.producer_id_expiration_ms);
  f.take("producer.id.expiration.check.interval.ms", c.producer_id_expiration_check_interval_ms);
}

void take_replication(const Fields& f, BrokerConfig& c) {
  f.take("num.replica.fetchers", c.num_replica_fetchers);
  f.take("replica.fetch.min.bytes", c.replica_fetch_min_bytes);
  f.take("replica.fetch.max.bytes", c.replica_fetch_max_bytes);
  f.take("replica.fetch.response.max.bytes", c.replica_fetch_response_max_bytes);
  f.take("replica.fetch.wait.max.ms", c.replica_fetch_wait_max_ms);
  f.take("replica.fetch.backoff.ms", c.replica_fetch_backoff_ms);
  f.take("replica.socket.timeout.ms", c.replica_socket_timeout_ms);
  f.take("replica.selector.class", c.replica_selector_class);
}

void take_quorum(const Fields& f, BrokerConfig& c) {
  f.take("auto.leader.rebalance.enable", c.auto_leader_rebalance_enable);
  f.take("leader.imbalance.check.interval.seconds", c.leader_imbalance_check_interval_seconds);
  f.take("unclean.leader.election.interval.ms", c.unclean_leader_election_interval_ms);
  f.take("controller.quorum.election.timeout.ms", c.controller_quorum_election_timeout_ms);
  f.take("controller.quorum.election.backoff.max.ms", c.controller_quorum_election_backoff_max_ms);
  f.take("controller.quorum.fetch.timeout.ms", c.controller_quorum_fetch_timeout_ms);
  f.take("controller.quorum.request.timeout.ms", c.controller_quorum_request_timeout_ms);
  f.take("controller.quorum.retry.backoff.ms", c.controller_quorum_retry_backoff_ms);
  f.take("controller.quorum.auto.join.enable", c.controller_quorum_auto_join_enable);
  f.take("controlled.shutdown.enable", c.controlled_shutdown_enable);
  f.take("broker.heartbeat.interval.ms", c.broker_heartbeat_interval_ms);
  f.take("broker.session.timeout.ms", c.broker_session_timeout_ms);
  f.take("initial.broker.registration.timeout.ms", c.initial_broker_registration_timeout_ms);
  f.take("controller.quorum.append.linger.ms", c.controller_quorum_append_linger_ms);
  f.take("controller.quorum.fetch.max.bytes", c.controller_quorum_fetch_max_bytes);
  f.take("metadata.log.max.record.bytes.between.snapshots",
         c.metadata_log_max_record_bytes_between_snapshots);
  f.take("metadata.log.max.snapshot.interval.ms", c.metadata_log_max_snapshot_interval_ms);
  f.take("metadata.log.segment.bytes", c.metadata_log_segment_bytes);
  f.take("metadata.log.segment.ms", c.metadata_log_segment_ms);
  f.take("metadata.max.retention.bytes", c.metadata_max_retention_bytes);
  f.take("metadata.max.retention.ms", c.metadata_max_retention_ms);
  f.take("metadata.max.idle.interval.ms", c.metadata_max_idle_interval_ms);
}

void take_groups(const Fields& f, BrokerConfig& c) {
  f.take("offsets.topic.num.partitions", c.offsets_topic_num_partitions);
  f.take("offsets.topic.replication.factor", c.offsets_topic_replication_factor);
  f.take("offsets.topic.segment.bytes", c.offsets_topic_segment_bytes);
  f.take("transaction.state.log.num.partitions", c.transaction_state_log_num_partitions);
  f.take("transaction.state.log.replication.factor", c.transaction_state_log_replication_factor);
  f.take("transaction.state.log.min.isr", c.transaction_state_log_min_isr);
  f.take("transaction.state.log.segment.bytes", c.transaction_state_log_segment_bytes);
  f.take("transaction.max.timeout.ms", c.transaction_max_timeout_ms);
  f.take("transactional.id.expiration.ms", c.transactional_id_expiration_ms);
  f.take("transaction.abort.timed.out.transaction.cleanup.interval.ms",
         c.transaction_abort_timed_out_transaction_cleanup_interval_ms);
  f.take("transaction.remove.expired.transaction.cleanup.interval.ms",
         c.transaction_remove_expired_transaction_cleanup_interval_ms);
  f.take("add.partitions.to.txn.retry.backoff.ms", c.add_partitions_to_txn_retry_backoff_ms);
  f.take("add.partitions.to.txn.retry.backoff.max.ms",
         c.add_partitions_to_txn_retry_backoff_max_ms);
  f.take("offsets.retention.minutes", c.offsets_retention_minutes);
  f.take("offsets.retention.check.interval.ms", c.offsets_retention_check_interval_ms);
  f.take("offset.metadata.max.bytes", c.offset_metadata_max_bytes);
  f.take("offsets.commit.timeout.ms", c.offsets_commit_timeout_ms);
  f.take("group.initial.rebalance.delay.ms", c.group_initial_rebalance_delay_ms);
  f.take("group.min.session.timeout.ms", c.group_min_session_timeout_ms);
  f.take("group.max.session.timeout.ms", c.group_max_session_timeout_ms);
  f.take("group.max.size", c.group_max_size);
  c.group_coordinator_rebalance_protocols =
      to_list(*f.text("group.coordinator.rebalance.protocols"));
  f.take("group.consumer.session.timeout.ms", c.group_consumer_session_timeout_ms);
  f.take("group.consumer.heartbeat.interval.ms", c.group_consumer_heartbeat_interval_ms);
  f.take("group.consumer.assignment.interval.ms", c.group_consumer_assignment_interval_ms);
  f.take("group.consumer.max.size", c.group_consumer_max_size);
  c.group_consumer_assignors = to_list(*f.text("group.consumer.assignors"));
  f.take("group.consumer.migration.policy", c.group_consumer_migration_policy);
  f.take("group.consumer.regex.refresh.interval.ms", c.group_consumer_regex_refresh_interval_ms);
}

Result<HostPort> parse_host_port(std::string_view key, const std::string& text) {
  HostPort out;
  const auto colon = text.rfind(':');
  const std::string port = colon == text.npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || colon == 0)
    return bad_value(key, "'" + text + "' is not an address (allowed: host:port)");
  out.host = text.substr(0, colon);
  if (out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

Result<void> take_voters(const Fields& f, BrokerConfig& c) {
  constexpr std::string_view kVoters = "controller.quorum.voters";
  for (const std::string& voter : to_list(*f.text(kVoters))) {
    const auto at_sign = voter.find('@');
    QuorumVoter out;
    const auto [end, error] =
        std::from_chars(voter.data(), voter.data() + std::min(at_sign, voter.size()), out.id.value);
    if (at_sign == voter.npos || error != std::errc() || end != voter.data() + at_sign)
      return bad_value(kVoters, "'" + voter + "' is not a voter (allowed: id@host:port)");
    ASSIGN_OR_RETURN(out.endpoint, parse_host_port(kVoters, voter.substr(at_sign + 1)));
    c.quorum_voters.push_back(std::move(out));
  }
  constexpr std::string_view kServers = "controller.quorum.bootstrap.servers";
  for (const std::string& server : to_list(*f.text(kServers))) {
    ASSIGN_OR_RETURN(HostPort address, parse_host_port(kServers, server));
    c.quorum_bootstrap_servers.push_back(std::move(address));
  }
  return {};
}

Result<void> take_node(const Fields& f, BrokerConfig& c) {
  for (const std::string& role : to_list(*f.text("process.roles"))) {
    if (role == "broker") c.is_broker = true;
    if (role == "controller") c.is_controller = true;
  }
  if (!c.is_broker && !c.is_controller)
    return bad_value("process.roles", "must not be empty (allowed: broker, controller)");
  f.take("node.id", c.node_id.value);
  if (c.values.contains("broker.id") && to_integer(*f.text("broker.id")) != c.node_id.value)
    return bad_value("broker.id", "You must set `node.id` to the same value as `broker.id`.");
  if (const auto rack = f.text("broker.rack"); rack && !rack->empty()) c.rack = *rack;
  const auto dirs = f.text("log.dirs");
  c.log_dirs = to_list(dirs && !dirs->empty() ? *dirs : *f.text("log.dir"));
  if (c.log_dirs.empty())
    return bad_value("log.dirs", "At least one log directory must be defined");
  if (std::set<std::string>(c.log_dirs.begin(), c.log_dirs.end()).size() != c.log_dirs.size())
    return bad_value("log.dirs", "a directory is named twice");
  c.metadata_log_dir = c.log_dirs.front();
  f.take("metadata.log.dir", c.metadata_log_dir);
  f.take("authorizer.class.name", c.authorizer_class_name);
  return {};
}

/// What KafkaConfig demands of roles and voters, in its words.
Result<void> check_quorum(const Fields& f, const BrokerConfig& c) {
  constexpr std::string_view kVoters = "controller.quorum.voters";
  const bool is_voter =
      std::any_of(c.quorum_voters.begin(), c.quorum_voters.end(),
                  [&](const QuorumVoter& voter) { return voter.id == c.node_id; });
  const std::string node = std::to_string(c.node_id.value);
  if (c.quorum_voters.empty() && c.quorum_bootstrap_servers.empty())
    return bad_value(
        "controller.quorum.bootstrap.servers",
        "If using process.roles, either controller.quorum.bootstrap.servers must contain "
        "the set of bootstrap controllers or controller.quorum.voters must contain a "
        "parseable set of controllers.");
  if (!c.is_controller && is_voter)
    return bad_value(kVoters, "If process.roles contains just the 'broker' role, the node id " +
                                  node + " must not be included in the set of voters " +
                                  *f.text(kVoters));
  if (c.is_controller && !c.quorum_voters.empty() && !is_voter)
    return bad_value(kVoters, "If process.roles contains the 'controller' role, the node id " +
                                  node + " must be included in the set of voters " +
                                  *f.text(kVoters));
  if (c.controller_quorum_auto_join_enable && !c.is_controller)
    return bad_value(
        "controller.quorum.auto.join.enable",
        "controller.quorum.auto.join.enable is only supported when process.roles contains "
        "the 'controller' role.");
  if (!c.replica_selector_class.empty() &&
      c.replica_selector_class.find("RackAwareReplicaSelector") == std::string::npos)
    return bad_value("replica.selector.class",
                     "'" + c.replica_selector_class +
                         "' is not supported (allowed: empty, "
                         "org.apache.kafka.common.replica.RackAwareReplicaSelector)");
  return {};
}

/// A fetch has to be shorter than what waits for it (KafkaConfig.validateValues).
Result<void> check_replication(const BrokerConfig& c) {
  if (c.replica_fetch_wait_max_ms > c.replica_socket_timeout_ms)
    return bad_value(
        "replica.socket.timeout.ms",
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to "
        "prevent unnecessary socket timeouts");
  if (c.replica_fetch_wait_max_ms > c.replica_lag_time_max_ms)
    return bad_value("replica.fetch.wait.max.ms",
                     "replica.fetch.wait.max.ms should always be less than or equal to "
                     "replica.lag.time.max.ms to prevent frequent changes in ISR");
  return {};
}

/// Keys of Kafka's authorizer, which its own table does not list.
Result<void> take_authorizer(BrokerConfig& c) {
  if (const auto it = c.values.find("super.users"); it != c.values.end()) {
    for (const std::string& user : split(it->second, ';')) {
      const std::string name(trim(user));
      if (name.empty()) continue;
      if (name.find(':') == name.npos || name.front() == ':')
        return bad_value("super.users",
                         "'" + name + "' is not a principal (allowed: User:name;User:…)");
      c.super_users.push_back(name);
    }
  }
  if (const auto it = c.values.find("allow.everyone.if.no.acl.found"); it != c.values.end()) {
    const std::string text = upper(trim(it->second));
    if (text != "TRUE" && text != "FALSE")
      return bad_value("allow.everyone.if.no.acl.found",
                       "'" + it->second + "' is not a boolean (allowed: true, false)");
    c.allow_everyone_if_no_acl_found = text == "TRUE";
  }
  if (!c.authorizer_class_name.empty() &&
      c.authorizer_class_name.find("StandardAuthorizer") == std::string::npos)
    return bad_value("authorizer.class.name",
                     "'" + c.authorizer_class_name +
                         "' is not supported (allowed: empty, "
                         "org.apache.kafka.metadata.authorizer.StandardAuthorizer)");
  return {};
}

bool is_authorizer_key(std::string_view key) {
  return key == "super.users" || key == "allow.everyone.if.no.acl.found";
}

Result<void> check_groups(const BrokerConfig& c) {
  constexpr std::string_view kKey = "group.consumer.assignors";
  if (c.group_consumer_assignors.empty()) return bad_value(kKey, "must name at least one");
  for (const std::string& name : c.group_consumer_assignors)
    if (name != "uniform" && name != "range")
      return bad_value(kKey, "'" + name + "' is not supported (allowed: uniform, range)");
  return {};
}

Result<void> take_all(BrokerConfig& c) {
  const Fields f(c.values);
  RETURN_IF_ERROR(take_node(f, c));
  RETURN_IF_ERROR(take_authorizer(c));
  take_network(f, c);
  take_log(f, c);
  take_quorum(f, c);
  take_replication(f, c);
  take_groups(f, c);
  RETURN_IF_ERROR(check_groups(c));
  RETURN_IF_ERROR(check_replication(c));
  RETURN_IF_ERROR(take_voters(f, c));
  ASSIGN_OR_RETURN(c.listeners, parse_listeners(c.values, c.is_broker, c.is_controller));
  return check_quorum(f, c);
}

}  // namespace

const Listener* BrokerConfig::find_listener(std::string_view name) const {
  for (const Listener& listener : listeners.listeners)
    if (listener.name == name) return &listener;
  return nullptr;
}

Result<ParsedBrokerConfig> make_broker_config(std::vector<Property> properties,
                                              std::string_view source) {
  ParsedBrokerConfig out;
  std::map<std::string, int, std::less<>> lines;
  for (Property& property : properties) {
    lines[property.key] = property.line;
    out.config.values[property.key] = std::move(property.value);
  }
  for (const auto& [name, value] : out.config.values) {
    const ConfigKey* key = ConfigDef::broker().find(name);
    if (key == nullptr) {
      if (!is_listener_key(name) && !is_authorizer_key(name))
        out.warnings.push_back(at(source, lines[name]) + "unknown key " + name + " is ignored");
      continue;
    }
    if (const auto valid = validate(*key, value); !valid.ok())
      return Error{ErrorCode::kInvalidConfig, at(source, lines[name]) + valid.error().detail +
                                                  " (allowed: " + describe_allowed(*key) + ")"};
  }
  for (const auto& [name, key] : ConfigDef::broker().keys())
    if (key.required && !out.config.values.contains(name))
      return Error{ErrorCode::kInvalidConfig,
                   at(source, 0) + "Missing required configuration \"" + name +
                       "\" which has no default value. (allowed: " + describe_allowed(key) + ")"};
  if (const auto taken = take_all(out.config); !taken.ok()) {
    const std::string& detail = taken.error().detail;  // "key: why"
    const auto line = lines.find(detail.substr(0, detail.find(": ")));
    return Error{ErrorCode::kInvalidConfig,
                 at(source, line == lines.end() ? 0 : line->second) + detail};
  }
  return out;
}

Result<ParsedBrokerConfig> parse_broker_config(std::string_view text, std::string_view file_name,
                                               const FileReader& read_file) {
  auto properties = parse_properties(text);
  if (!properties.ok())
    return Error{ErrorCode::kInvalidConfig, at(file_name, 0) + properties.error().detail};
  if (const auto resolved = resolve_providers(*properties, read_file); !resolved.ok())
    return Error{ErrorCode::kInvalidConfig, at(file_name, 0) + resolved.error().detail};
  return make_broker_config(std::move(*properties), file_name);
}

}  // namespace broker::config
