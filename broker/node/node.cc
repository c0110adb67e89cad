#include "broker/node/node.h"

#include <utility>

#include "broker/common/log.h"
#include "broker/handlers/apis.h"
#include "broker/node/node_impl.h"
#include "broker/node/options.h"
#include "broker/node/run_on.h"
#include "broker/quorum/format.h"
#include "broker/storage/meta_properties.h"

namespace broker::node {
namespace {

constexpr auto kCertificateCheckInterval = std::chrono::seconds(1);
constexpr auto kLeavePatience = std::chrono::seconds(5);
constexpr auto kDrainPatience = std::chrono::milliseconds(300);

std::set<std::string> controller_listener_names(const config::BrokerConfig& config) {
  std::set<std::string> names;
  for (const auto& listener : config.listeners.listeners) {
    if (listener.is_controller) names.insert(listener.name);
  }
  return names;
}

}  // namespace

Node::Impl::Impl(Ports ports, config::BrokerConfig config)
    : ports_(std::move(ports)),
      config_(with_advertised_hosts(std::move(config))),
      state_(std::make_shared<const handlers::ClusterState>(
          handlers::ClusterState{metadata::MetadataImage::empty(), nullptr})) {
  CHECK(!ports_.strands.empty());
}

Node::Impl::~Impl() = default;

Result<void> Node::Impl::start() {
  RETURN_IF_ERROR(run_and_wait(main(), [this] { return open_log_directory(); }));
  RETURN_IF_ERROR(run_and_wait(main(), [this] { return start_controller(); }));
  run_and_wait(main(), [this] { make_services(); });
  RETURN_IF_ERROR(start_server());
  RETURN_IF_ERROR(register_broker());
  RETURN_IF_ERROR(load_logs());
  start_replication();
  run_until_done<bool>(
      main(), [this](auto done) { membership_->unfence([done]() mutable { done(true); }); });
  gate_->open();
  ready_ = true;
  run_and_wait(main(), [this] { watch_certificates(); });
  return {};
}

Result<void> Node::Impl::open_log_directory() {
  const std::string& directory = config_.metadata_log_dir;
  if (config_.log_dirs != std::vector{directory}) {
    return Error{
        ErrorCode::kInvalidConfig,
        "log.dirs: this version keeps everything in one directory, and metadata.log.dir is "
        "that one"};
  }
  ASSIGN_OR_RETURN(logs_, storage::LogManager::open(ports_.files, {directory, 1000, ports_.seed}));
  const auto& meta = logs_->directory().meta_properties();
  if (meta.node_id != config_.node_id) {
    return Error{ErrorCode::kInvalidConfig,
                 directory + "/meta.properties: the disk belongs to node " +
                     std::to_string(meta.node_id.value) + ", node.id is " +
                     std::to_string(config_.node_id.value)};
  }
  cluster_id_ = meta.cluster_id;
  Rng rng(ports_.seed);
  if (!meta.directory_id) {
    RETURN_IF_ERROR(logs_->directory().ensure_directory_id(Uuid::random(rng)));
  }
  ASSIGN_OR_RETURN(metadata_storage_,
                   logs_->create(storage::kMetadataPartition, kMetadataTopicId,
                                 metadata_storage_options(config_), main().wall_now()));
  return {};
}

Result<void> Node::Impl::start_controller() {
  const auto& meta = logs_->directory().meta_properties();
  ASSIGN_OR_RETURN(auto bootstrap,
                   quorum::read_bootstrap_records(ports_.files, config_.metadata_log_dir));
  metadata_log_ = std::make_unique<quorum::MetadataLog>(
      quorum::MetadataLog::Ports{main(), ports_.workers, ports_.files}, metadata_storage_,
      metadata_log_options(config_, cluster_id_, *meta.directory_id));
  controller_ = std::make_unique<controller::Controller>(
      controller_options(config_, cluster_id_, std::move(bootstrap), ports_.seed + 1), main(),
      *metadata_log_);
  controller_->add_listener(*this);
  return controller_->start();
}

void Node::Impl::make_services() {
  for (io::Strand* strand : ports_.strands) {
    channels_.push_back(std::make_unique<controller::LocalChannel>(*strand, *controller_));
    fetch_sessions_.push_back(std::make_unique<replication::FetchSessionCache>(
        replication::FetchSessionCache::Options{
            static_cast<std::size_t>(config_.max_incremental_fetch_session_cache_slots) /
                ports_.strands.size(),
            std::chrono::milliseconds(120'000)},
        ports_.seed + 2 + fetch_sessions_.size()));
  }
  credentials_ = std::make_unique<Credentials>(config_, state_);
  services_ = std::make_unique<handlers::Services>(handlers::Services{
      config_, cluster_id_, state_, nullptr, {}, nullptr, nullptr, nullptr, nullptr, nullptr, {}});
  registry_ = std::make_unique<handlers::Registry>(*services_, controller_listener_names(config_));
  handlers::register_apis(*registry_);
  gate_ = std::make_unique<StartingGate>(*registry_);
  replicas_ = std::make_unique<replication::ReplicaManager>(
      replica_options(config_), replication::Strands(main(), ports_.strands), *logs_,
      replication::ReplicaManagerPorts{ports_.workers});
  groups_ = std::make_unique<coordinator::group::GroupCoordinator>(
      group_options(config_),
      coordinator::CoordinatorOptions{coordinator::group::kOffsetsTopic,
                                      std::chrono::milliseconds(config_.offsets_commit_timeout_ms)},
      *replicas_, [this] { create_offsets_topic(); }, ports_.seed + 100);
  producer_ids_ = std::make_unique<handlers::ProducerIds>(main(), *channels_.front(), [this] {
    return std::pair(config_.node_id, membership_->epoch());
  });

  services_->registry = registry_.get();
  services_->controller = [this](io::Strand& strand) -> controller::ControllerChannel& {
    return *channels_[strand_index(strand)];
  };
  services_->metadata_log = metadata_log_.get();
  services_->controller_strand = &main();
  services_->replicas = replicas_.get();
  services_->groups = groups_.get();
  services_->producer_ids = producer_ids_.get();
  services_->fetch_sessions = [this](io::Strand& strand) -> replication::FetchSessionCache& {
    return *fetch_sessions_[strand_index(strand)];
  };
}

std::size_t Node::Impl::strand_index(const io::Strand& strand) const {
  for (std::size_t i = 0; i < ports_.strands.size(); ++i) {
    if (ports_.strands[i] == &strand) return i;
  }
  check_failed("a strand of this node", __FILE__, __LINE__, "");
}

Result<void> Node::Impl::start_server() {
  server_ = std::make_unique<server::Server>(
      server::Server::Ports{ports_.transport, ports_.strands, *gate_, credentials_.get()},
      server_options(config_, ports_.request_memory));
  return server_->start();
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
  }
  return listeners;
}

Result<void> Node::Impl::register_broker() {
  Rng rng(ports_.seed + 3);
  MembershipOptions options;
  options.cluster_id = cluster_id_;
  options.node_id = config_.node_id;
  options.incarnation = Uuid::random(rng);
  options.rack = config_.rack;
  options.log_dirs = {*logs_->directory().meta_properties().directory_id};
  options.listeners = advertised_listeners();
  options.previous_epoch = logs_->directory().previous_broker_epoch();
  options.heartbeat_interval = std::chrono::milliseconds(config_.broker_heartbeat_interval_ms);
  options.registration_timeout =
      std::chrono::milliseconds(config_.initial_broker_registration_timeout_ms);
  const auto registered = run_until_done<Result<BrokerEpoch>>(
      main(), [this, options = std::move(options)](auto done) mutable {
        membership_ =
            std::make_unique<Membership>(main(), *channels_.front(), std::move(options),
                                         [this] { return state_.get()->image->provenance.offset; });
        membership_->register_broker([done](Result<BrokerEpoch> epoch) mutable { done(epoch); });
      });
  return registered.ok() ? Result<void>() : Result<void>(registered.error());
}

/// On the pool: recovery may take long, and heartbeats go on meanwhile. Nobody else touches the
/// logs yet.
Result<void> Node::Impl::load_logs() {
  const auto image = state_.get()->image;
  const WallMs now = run_and_wait(main(), [this] { return main().wall_now(); });
  auto failures = std::make_shared<Result<std::vector<storage::LogManager::LoadFailure>>>(
      std::vector<storage::LogManager::LoadFailure>());
  run_until_done<bool>(main(), [this, image, now, failures](auto done) {
    ports_.workers.run(
        main(),
        [this, image, now, failures] {
          *failures = logs_->load(
              [&](const TopicPartition& tp) { return replicas_->log_options(*image, tp.topic); },
              now);
        },
        [done]() mutable { done(true); });
  });
  if (!failures->ok()) return failures->error();
  for (const auto& failure : **failures) {
    log_error("node", "a log cannot be opened: its partition is offline",
              {{"partition", to_string(failure.partition)}, {"error", to_string(failure.error)}});
  }
  return {};
}

void Node::Impl::start_replication() {
  run_until_done<bool>(main(), [this](auto done) {
    replicas_->start();
    const auto image = state_.get()->image;
    const metadata::MetadataUpdate all{image,
                                       metadata::diff(*metadata::MetadataImage::empty(), *image)};
    replicating_ = true;
    replicas_->apply(all, [done]() mutable { done(true); });
    groups_->apply(all);
    if (const auto strays = replicas_->remove_strays(); !strays.ok()) {
      log_warn("node", "stray logs stay where they are", {{"error", to_string(strays.error())}});
    }
  });
}

void Node::Impl::on_image(const metadata::MetadataUpdate& update) {
  publish(update);
  if (!replicating_) return;
  replicas_->apply(update);
  groups_->apply(update);
}

void Node::Impl::publish(const metadata::MetadataUpdate& update) {
  const auto before = state_.get();
  auto authorizer = before->authorizer;
  const bool wanted = !config_.authorizer_class_name.empty();
  if (wanted && (authorizer == nullptr || !update.changes.acls.empty())) {
    security::Authorizer::Options options;
    options.allow_everyone_if_no_acl_found = config_.allow_everyone_if_no_acl_found;
    for (const auto& user : config_.super_users) {
      if (auto principal = security::parse_principal(user); principal.ok()) {
        options.super_users.insert(std::move(*principal));
      }
    }
    std::vector<security::AclBinding> bindings;
    for (const auto& [id, binding] : update.image->acls.by_id) bindings.push_back(binding);
    authorizer = std::make_shared<const security::Authorizer>(std::move(options), bindings);
  }
  state_.set(std::make_shared<const handlers::ClusterState>(
      handlers::ClusterState{update.image, std::move(authorizer)}));
}

void Node::Impl::on_controller_fatal(const Error& error) {
  if (on_fatal_) on_fatal_(error);
}

/// __consumer_offsets with as many replicas as there are brokers, three at most.
void Node::Impl::create_offsets_topic() {
  main().post([this, alive = alive_] {
    if (!*alive) return;
    std::int16_t alive_brokers = 0;
    const auto state = state_.get();
    for (const auto& [id, broker] : state->image->cluster.brokers) {
      if (!broker.fenced) ++alive_brokers;
    }
    protocol::CreateTopicsRequest::CreatableTopic topic;
    topic.name = coordinator::group::kOffsetsTopic;
    topic.num_partitions = config_.offsets_topic_num_partitions;
    topic.replication_factor = std::max<std::int16_t>(
        1, std::min(config_.offsets_topic_replication_factor, alive_brokers));
    topic.configs = {{"cleanup.policy", "compact"},
                     {"compression.type", "producer"},
                     {"segment.bytes", std::to_string(config_.offsets_topic_segment_bytes)}};
    protocol::CreateTopicsRequest request;
    request.topics.push_back(std::move(topic));
    controller::call(
        *channels_.front(), std::move(request), [](Result<protocol::CreateTopicsResponse> result) {
          if (!result.ok()) return;  // asked again by the next client
          const auto error = static_cast<ErrorCode>(result->topics.front().error_code);
          if (error != ErrorCode::kNone && error != ErrorCode::kTopicAlreadyExists) {
            log_warn("node", "the offsets topic was not created", {{"error", error_name(error)}});
          }
        });
  });
}

void Node::Impl::watch_certificates() {
  main().call_after(kCertificateCheckInterval, [this, alive = alive_] {
    if (!*alive) return;
    auto changed = std::make_shared<Result<bool>>(false);
    ports_.workers.run(
        main(), [this, changed] { *changed = server_->reload_tls(); },
        [this, alive, changed] {
          if (!*alive) return;
          if (!changed->ok()) {
            log_warn("node", "certificates were not reloaded, the old ones stay",
                     {{"error", to_string(changed->error())}});
          } else if (**changed) {
            log_info("node", "certificates reloaded");
          }
          watch_certificates();
        });
  });
}

Result<void> Node::Impl::stop() {
  if (membership_ != nullptr) {
    run_until_done<bool>(main(), [this](auto done) {
      membership_->leave(kLeavePatience, [done]() mutable { done(true); });
    });
  }
  ready_ = false;
  run_and_wait(main(), [this] { *alive_ = false; });
  if (server_ != nullptr) {
    server_->stop_accepting();
    server_->stop(kDrainPatience);
  }
  if (membership_ != nullptr) run_and_wait(main(), [this] { membership_->stop(); });
  if (controller_ == nullptr) return {};
  run_and_wait(main(), [this] {
    controller_->stop();
    metadata_log_->stop();
    replicating_ = false;
  });
  if (replicas_ == nullptr) return {};
  const auto epoch = membership_ != nullptr && membership_->epoch().value >= 0
                         ? std::optional(membership_->epoch())
                         : std::nullopt;
  return run_until_done<Result<void>>(main(), [this, epoch](auto done) {
    replicas_->shut_down(epoch, [done](Result<void> result) mutable { done(std::move(result)); });
  });
}

NodeMetrics Node::Impl::collect() {
  NodeMetrics metrics;
  metrics.node_id = config_.node_id;
  metrics.cluster_id = cluster_id_;
  if (!ready_) return metrics;
  metrics.replication = run_until_done<replication::MetricsSnapshot>(main(), [this](auto done) {
    replicas_->collect(
        [done](replication::MetricsSnapshot snapshot) mutable { done(std::move(snapshot)); });
  });
  metrics.groups = run_until_done<coordinator::group::GroupMetrics>(main(), [this](auto done) {
    groups_->collect(
        [done](coordinator::group::GroupMetrics groups) mutable { done(std::move(groups)); });
  });
  run_and_wait(main(), [&] {
    metrics.active_controller = controller_->is_active();
    metrics.quorum_epoch = metadata_log_->epoch().value;
    metrics.quorum_high_watermark = metadata_log_->high_watermark().value;
    metrics.quorum_log_end_offset = metadata_log_->log_end_offset().value;
  });
  const auto state = state_.get();
  metrics.metadata_offset = state->image->provenance.offset.value;
  for (const auto& [id, broker] : state->image->cluster.brokers) {
    ++(broker.fenced ? metrics.fenced_brokers : metrics.active_brokers);
  }
  for (const auto& [id, topic] : state->image->topics.by_id) {
    ++metrics.topics;
    for (const auto& [index, partition] : topic.partitions) {
      if (partition.leader == metadata::kNoLeader) ++metrics.offline_partitions;
    }
  }
  return metrics;
}

Node::Node(Ports ports, config::BrokerConfig config)
    : impl_(std::make_unique<Impl>(std::move(ports), std::move(config))) {}
Node::~Node() = default;

Result<void> Node::start() { return impl_->start(); }
Result<void> Node::stop() { return impl_->stop(); }
bool Node::ready() const { return impl_->ready_; }
void Node::on_fatal(std::function<void(const Error&)> callback) {
  impl_->on_fatal_ = std::move(callback);
}
std::map<std::string, io::Endpoint> Node::bound_endpoints() const {
  return impl_->server_->bound_endpoints();
}
const std::string& Node::cluster_id() const { return impl_->cluster_id_; }
NodeMetrics Node::collect() { return impl_->collect(); }
const server::ListenerMetrics& Node::listener_metrics(const std::string& listener) const {
  return impl_->server_->metrics(listener);
}
const config::BrokerConfig& Node::config() const { return impl_->config_; }

}  // namespace broker::node
