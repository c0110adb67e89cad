// From a formatted disk to clients being served.
#include <utility>

#include "broker/common/log.h"
#include "broker/metadata/broker_address.h"
#include "broker/node/node_impl.h"
#include "broker/node/options.h"
#include "broker/quorum/format.h"
#include "broker/storage/meta_properties.h"

namespace broker::node {

void Node::Impl::start(Done done) {
  main().check_current();
  on_started_ = std::move(done);
  if (const auto begun = begin(); !begun.ok()) return end_start(begun);
  if (!config_.is_broker) {
    gate_->open();
    watch_certificates();
    return end_start({});
  }
  register_broker();
}

Result<void> Node::Impl::begin() {
  RETURN_IF_ERROR(open_log_directories());
  RETURN_IF_ERROR(make_quorum());
  make_services();
  // Super users may act before the first ACL is known, others not.
  publish({metadata::MetadataImage::empty(), {}});
  RETURN_IF_ERROR(controller_->start());
  RETURN_IF_ERROR(start_server());
  gate_->open_controllers();
  return {};
}

void Node::Impl::end_start(Result<void> result) {
  if (result.ok()) ready_ = true;
  main().post([this, alive = alive_, result = std::move(result)]() mutable {
    std::exchange(on_started_, nullptr)(std::move(result));
    if (*alive && stopping_) leave_cluster();
  });
}

/// False when stop() came meanwhile: the start ends here.
bool Node::Impl::start_goes_on() {
  if (!stopping_) return true;
  end_start(Error{ErrorCode::kBrokerNotAvailable, "stopped while it was starting"});
  return false;
}

Result<void> Node::Impl::open_log_directories() {
  storage::LogDirectoriesOptions options;
  options.directories = config_.log_dirs;
  options.metadata_directory = config_.metadata_log_dir;
  options.seed = ports_.seed;
  options.reserve_bytes = ports_.disk_reserve;
  ASSIGN_OR_RETURN(logs_, storage::LogDirectories::open(ports_.files, std::move(options)));
  storage::LogManager& metadata = logs_->of_metadata();
  const auto& meta = metadata.directory().meta_properties();
  if (meta.node_id != config_.node_id) {
    return Error{ErrorCode::kInvalidConfig,
                 config_.metadata_log_dir + "/meta.properties: the disk belongs to node " +
                     std::to_string(meta.node_id.value) + ", node.id is " +
                     std::to_string(config_.node_id.value)};
  }
  cluster_id_ = meta.cluster_id;
  watch_directories();
  ASSIGN_OR_RETURN(metadata_storage_,
                   metadata.create(storage::kMetadataPartition, kMetadataTopicId,
                                   metadata_storage_options(config_), main().wall_now()));
  return {};
}

Result<void> Node::Impl::start_server() {
  auto options = server_options(config_, ports_.request_memory);
  options.connections = connection_limits(config_, *image());
  RETURN_IF_ERROR(start_bearer_tokens(options));
  server_ = std::make_unique<server::Server>(
      server::Server::Ports{ports_.transport, ports_.strands, *gate_, credentials_.get()},
      std::move(options));
  return server_->start();
}

Result<void> Node::Impl::start_bearer_tokens(server::ServerOptions& options) {
  for (const auto& listener : config_.listeners.listeners) {
    if (!listener.sasl.oauth) continue;
    auto tokens = std::make_shared<BearerTokens>(
        BearerTokens::Ports{main(), ports_.transport, ports_.workers}, listener.name,
        *listener.sasl.oauth);
    if (const auto started = tokens->start(); !started.ok())
      return Error{started.code(), "listener " + listener.name + ": " + started.error().detail};
    for (auto& option : options.listeners)
      if (option.name == listener.name) option.sasl.bearers = tokens;
    bearer_tokens_.push_back(std::move(tokens));
  }
  return {};
}

std::vector<protocol::BrokerRegistrationRequest::Listener> Node::Impl::advertised_listeners()
    const {
  std::vector<protocol::BrokerRegistrationRequest::Listener> listeners;
  const auto bound = server_->bound_endpoints();
  for (const auto& listener : config_.listeners.listeners) {
    if (listener.is_controller) continue;
    const std::uint16_t port =
        listener.advertised.port != 0 ? listener.advertised.port : bound.at(listener.name).port;
    listeners.push_back({listener.name, listener.advertised.host, port,
                         static_cast<std::int16_t>(listener.protocol)});
    if (listener.name == config_.listeners.inter_broker_listener && !ports_.address.empty()) {
      listeners.push_back({metadata::address_listener(listener.name), ports_.address,
                           bound.at(listener.name).port, listeners.back().security_protocol});
    }
  }
  return listeners;
}

MembershipOptions Node::Impl::membership_options() {
  Rng rng(ports_.seed + 3);
  MembershipOptions options;
  options.cluster_id = cluster_id_;
  options.node_id = config_.node_id;
  options.incarnation = Uuid::random(rng);
  options.rack = config_.rack;
  options.listeners = advertised_listeners();
  options.previous_epoch = logs_->previous_broker_epoch();
  options.heartbeat_interval = std::chrono::milliseconds(config_.broker_heartbeat_interval_ms);
  options.registration_timeout =
      std::chrono::milliseconds(config_.initial_broker_registration_timeout_ms);
  return options;
}

void Node::Impl::register_broker() {
  membership_ =
      std::make_unique<Membership>(main(), *channels_.front(), membership_options(),
                                   [this] { return state_.get()->image->provenance.offset; });
  report_directories();
  membership_->on_epoch([this](BrokerEpoch epoch) { replicas_->set_broker_epoch(epoch); });
  membership_->register_broker([this](Result<BrokerEpoch> epoch) {
    if (!start_goes_on()) return;
    if (!epoch.ok()) return end_start(epoch.error());
    catch_up();
  });
}

/// What this node knows of the cluster must not be older than its own registration: with less, logs
/// of present partitions would look like strays.
void Node::Impl::catch_up() {
  if (state_.get()->image->provenance.offset.value >= membership_->epoch().value)
    return load_logs();
  on_caught_up_ = [this] {
    if (start_goes_on()) load_logs();
  };
}

/// On the pool: recovery may take long, and heartbeats go on meanwhile. Nobody else touches the
/// logs yet.
void Node::Impl::load_logs() {
  auto failures = std::make_shared<Result<std::vector<storage::LogManager::LoadFailure>>>(
      std::vector<storage::LogManager::LoadFailure>());
  loading_ = true;
  ports_.workers.run(
      main(),
      [this, image = state_.get()->image, now = main().wall_now(), failures] {
        *failures = logs_->load(
            [&](const TopicPartition& tp) { return replicas_->log_options(*image, tp.topic); },
            now);
      },
      [this, alive = alive_, failures] {
        if (!*alive) return;
        loading_ = false;
        logs_loaded_ = failures->ok();
        if (!start_goes_on()) return;
        if (!failures->ok()) return end_start(failures->error());
        if (truncated_while_loading_) {
          const auto noted = logs_->of_metadata().checkpoint({&*truncated_while_loading_, 1});
          if (!noted.ok()) return end_start(noted);
        }
        for (const auto& failure : **failures) {
          log_error(
              "node", "a log cannot be opened: its partition is offline",
              {{"partition", to_string(failure.partition)}, {"error", to_string(failure.error)}});
        }
        start_replication();
      });
}

void Node::Impl::start_replication() {
  replicas_->start();
  const auto image = state_.get()->image;
  const metadata::MetadataUpdate all{image,
                                     metadata::diff(*metadata::MetadataImage::empty(), *image)};
  replicating_ = true;
  learn_addresses(all);
  update_cordoned(*image);
  replicas_->apply(all, [this, alive = alive_] {
    if (*alive && start_goes_on()) unfence();
  });
  groups_->apply(all);
  transactions_->apply(all);
  if (const auto strays = replicas_->remove_strays(); !strays.ok()) {
    log_warn("node", "stray logs stay where they are", {{"error", to_string(strays.error())}});
  }
}

void Node::Impl::unfence() {
  membership_->unfence([this] {
    if (!start_goes_on()) return;
    gate_->open();
    watch_certificates();
    end_start({});
  });
}

}  // namespace broker::node
