// Makes the parts of a node and ties them together.
#include <utility>

#include "broker/common/topic_name.h"
#include "broker/handlers/add_partitions.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/txn_markers.h"
#include "broker/node/node_impl.h"
#include "broker/node/options.h"
#include "broker/quorum/format.h"

namespace broker::node {
namespace {

std::set<std::string> controller_listener_names(const config::BrokerConfig& config) {
  std::set<std::string> names;
  for (const auto& listener : config.listeners.listeners) {
    if (listener.is_controller) names.insert(listener.name);
  }
  return names;
}

}  // namespace

Result<void> Node::Impl::make_quorum() {
  const auto& meta = logs_->of_metadata().directory().meta_properties();
  ASSIGN_OR_RETURN(auto bootstrap,
                   quorum::read_bootstrap_records(ports_.files, config_.metadata_log_dir));
  ASSIGN_OR_RETURN(peers_, Peers::make(ports_.transport, config_));
  quorum::ClientPeersOptions peer_options;
  peer_options.tls = peers_->to_controllers().tls;
  peer_options.sasl = peers_->to_controllers().sasl;
  quorum_peers_ =
      std::make_unique<quorum::ClientPeers>(main(), ports_.transport, std::move(peer_options));
  metadata_log_ = std::make_unique<quorum::MetadataLog>(
      quorum::MetadataLog::Ports{main(), ports_.workers, ports_.files, quorum_peers_.get(),
                                 [this](const storage::LogPositions& positions) {
                                   return write_metadata_checkpoint(positions);
                                 }},
      metadata_storage_,
      metadata_log_options(config_, cluster_id_, *meta.directory_id, ports_.seed + 5));
  controller_ = std::make_unique<controller::Controller>(
      controller_options(config_, cluster_id_, std::move(bootstrap), ports_.seed + 1), main(),
      *metadata_log_);
  controller_->add_listener(*this);
  router_ = std::make_unique<controller::ControllerRouter>(
      main(), ports_.transport, *controller_, router_options(config_, peers_->to_controllers()));
  router_->on_new_way([this] {
    if (membership_ != nullptr) membership_->heartbeat_now();
  });
  return {};
}

/// While the pool loads the logs the manager is its alone; the directory is not.
Result<void> Node::Impl::write_metadata_checkpoint(const storage::LogPositions& positions) {
  storage::LogManager& logs = logs_->of_metadata();
  if (!loading_) return logs.checkpoint({&positions, 1});
  truncated_while_loading_ = positions;
  auto recovery_points = logs.directory().recovery_points();
  recovery_points[positions.partition] = positions.recovery_point;
  return logs.directory().write_recovery_points(recovery_points);
}

void Node::Impl::make_services() {
  for (io::Strand* strand : ports_.strands) {
    channels_.push_back(std::make_unique<controller::RoutingChannel>(*strand, *router_));
    local_channels_.push_back(std::make_unique<controller::LocalChannel>(*strand, *controller_));
  }
  credentials_ = std::make_unique<Credentials>(config_, state_);
  services_ = std::make_unique<handlers::Services>(
      handlers::Services{.config = config_, .cluster_id = cluster_id_, .state = state_});
  const auto controller_listeners = controller_listener_names(config_);
  registry_ = std::make_unique<handlers::Registry>(*services_, controller_listeners);
  handlers::register_apis(*registry_);
  gate_ = std::make_unique<StartingGate>(*registry_, controller_listeners);

  services_->registry = registry_.get();
  services_->controller = [this](io::Strand& strand) -> controller::ControllerChannel& {
    return *channels_[strand_index(strand)];
  };
  services_->local_controller = [this](io::Strand& strand) -> controller::ControllerChannel& {
    return *local_channels_[strand_index(strand)];
  };
  services_->quorum_leader = &quorum_leader_;
  services_->controller_strand = &main();
  services_->metadata_log = metadata_log_.get();
  services_->node_controller = controller_.get();
  services_->router = router_.get();
  if (config_.is_broker) make_broker_parts();
}

void Node::Impl::make_broker_parts() {
  for (std::size_t i = 0; i < ports_.strands.size(); ++i) {
    fetch_sessions_.push_back(std::make_unique<replication::FetchSessionCache>(
        replication::FetchSessionCache::Options{
            static_cast<std::size_t>(config_.max_incremental_fetch_session_cache_slots) /
                ports_.strands.size(),
            std::chrono::milliseconds(120'000)},
        ports_.seed + 10 + i));
  }
  broker_connector_ = std::make_unique<BrokerConnector>(ports_.transport, *peers_);
  isr_changes_ = std::make_unique<IsrChangeSender>(*channels_.front());
  directory_assignments_ = std::make_unique<DirectoryAssignments>(
      main(), *channels_.front(), config_.node_id, [this] { return membership_->epoch(); });
  replicas_ = std::make_unique<replication::ReplicaManager>(
      replica_options(config_, ports_.seed + 4), replication::Strands(main(), ports_.strands),
      *logs_,
      replication::ReplicaManagerPorts{ports_.workers, broker_connector_.get(), isr_changes_.get(),
                                       directory_assignments_.get()});
  groups_ = std::make_unique<coordinator::group::GroupCoordinator>(
      group_options(config_),
      coordinator::CoordinatorOptions{std::string(kGroupOffsetsTopic),
                                      std::chrono::milliseconds(config_.offsets_commit_timeout_ms)},
      *replicas_, ports_.workers, [this] { create_offsets_topic(); }, ports_.seed + 100);
  producer_ids_ = std::make_unique<handlers::ProducerIds>(main(), *channels_.front(), [this] {
    return std::pair(config_.node_id, membership_->epoch());
  });

  make_transactions();

  client_quotas_ = std::make_unique<server::ClientQuotas>(
      server::ClientQuotas::Options{client_quota_window(config_)});
  client_quotas_->set_limits(image()->client_quotas);
  services_->client_quotas = client_quotas_.get();
  services_->replicas = replicas_.get();
  services_->groups = groups_.get();
  services_->producer_ids = producer_ids_.get();
  services_->transactions = transactions_.get();
  services_->log_directories = [this](io::Strand& strand, auto done) {
    describe_directories(strand, std::move(done));
  };
  services_->fetch_sessions = [this](io::Strand& strand) -> replication::FetchSessionCache& {
    return *fetch_sessions_[strand_index(strand)];
  };
}

/// Coordinators ask other brokers over the network, and this one directly.
void Node::Impl::make_transactions() {
  namespace txn = coordinator::transaction;
  const auto image = [this] { return state_.get()->image; };
  broker_lines_ =
      std::make_unique<BrokerLines>(main(), ports_.transport, *peers_, image,
                                    std::chrono::milliseconds(config_.request_timeout_ms));
  const auto write = [this](BrokerId broker, protocol::WriteTxnMarkersRequest request,
                            UniqueFunction<void(Result<protocol::WriteTxnMarkersResponse>)> done) {
    if (broker != config_.node_id)
      return broker_lines_->call(broker, std::move(request), std::move(done));
    main().post(
        [this, alive = alive_, request = std::move(request), done = std::move(done)]() mutable {
          if (*alive) handlers::write_markers(*services_, std::move(request), std::move(done));
        });
  };
  transactions_ = std::make_unique<txn::TransactionCoordinator>(
      transaction_options(config_),
      coordinator::CoordinatorOptions{std::string(kTransactionStateTopic)},
      txn::TransactionCoordinator::Ports{
          *replicas_, [this] { create_transaction_topic(); },
          [this](io::Strand& caller, UniqueFunction<void(Result<ProducerId>)> done) {
            producer_ids_->next(caller, std::move(done));
          },
          image, write});
  const auto ask = [this](BrokerId broker, protocol::AddPartitionsToTxnRequest request,
                          UniqueFunction<void(Result<protocol::AddPartitionsToTxnResponse>)> done) {
    if (broker != config_.node_id)
      return broker_lines_->call(broker, std::move(request), std::move(done));
    main().post(
        [this, alive = alive_, request = std::move(request), done = std::move(done)]() mutable {
          if (*alive)
            handlers::add_partitions_of_brokers(*transactions_, *state_.get()->image,
                                                std::move(request), std::move(done));
        });
  };
  txn::PartitionVerifier::Options options;
  options.retry_backoff = std::chrono::milliseconds(config_.add_partitions_to_txn_retry_backoff_ms);
  options.retry_for = std::chrono::milliseconds(config_.add_partitions_to_txn_retry_backoff_max_ms);
  verifier_ = std::make_unique<txn::PartitionVerifier>(
      options, txn::PartitionVerifier::Ports{replicas_->strands(), image, ask});
  replicas_->set_transaction_verifier(*verifier_);
}

std::size_t Node::Impl::strand_index(const io::Strand& strand) const {
  for (std::size_t i = 0; i < ports_.strands.size(); ++i) {
    if (ports_.strands[i] == &strand) return i;
  }
  check_failed("a strand of this node", __FILE__, __LINE__, "");
}

}  // namespace broker::node
