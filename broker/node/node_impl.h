#pragma once

#include <atomic>

#include "broker/controller/controller.h"
#include "broker/controller/local_channel.h"
#include "broker/controller/routing_channel.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/coordinator/transaction/partition_verifier.h"
#include "broker/coordinator/transaction/transaction_coordinator.h"
#include "broker/handlers/producer_ids.h"
#include "broker/handlers/registry.h"
#include "broker/handlers/services.h"
#include "broker/node/bearer_tokens.h"
#include "broker/node/broker_lines.h"
#include "broker/node/credentials.h"
#include "broker/node/directory_assignments.h"
#include "broker/node/membership.h"
#include "broker/node/node.h"
#include "broker/node/peers.h"
#include "broker/node/starting_gate.h"
#include "broker/quorum/client_peers.h"
#include "broker/quorum/metadata_log.h"
#include "broker/replication/fetch_session.h"
#include "broker/replication/replica_manager.h"
#include "broker/server/client_quotas.h"
#include "broker/storage/log_directories.h"

namespace broker::node {

/// The parts in the order in which they come to life; they die in the opposite one. A node without
/// the broker role has no membership, replicas and groups.
class Node::Impl final : public controller::ImageListener {
 public:
  Impl(Ports ports, config::BrokerConfig config);
  ~Impl() override;

  using Done = UniqueFunction<void(Result<void>)>;
  // On the main strand.
  void start(Done done);
  void stop(Done done);
  void collect(UniqueFunction<void(NodeMetrics)> done);
  void on_image(const metadata::MetadataUpdate& update) override;
  void on_leader_change(const quorum::LeaderAndEpoch& leader) override;
  void on_controller_fatal(const Error& error) override;

  io::Strand& main() { return *ports_.strands.front(); }
  metadata::ImagePtr image() const { return state_.get()->image; }  // from any thread

  const Ports ports_;
  const config::BrokerConfig config_;
  std::function<void(const Error&)> on_fatal_;
  std::atomic<bool> ready_{false};
  std::unique_ptr<server::Server> server_;
  std::string cluster_id_;

 private:
  // start.cc: each step calls the next when it is done, or end_start() with what went wrong.
  Result<void> begin();
  Result<void> open_log_directories();
  Result<void> start_server();
  Result<void> start_bearer_tokens(server::ServerOptions& options);
  void register_broker();
  void catch_up();
  void load_logs();
  void start_replication();
  void unfence();
  void end_start(Result<void> result);
  bool start_goes_on();
  MembershipOptions membership_options();
  std::vector<protocol::BrokerRegistrationRequest::Listener> advertised_listeners() const;

  // stop.cc
  void leave_cluster();
  void resign();
  void stop_server();
  void stop_parts();
  void end_stop(Result<void> result);

  // parts.cc
  Result<void> make_quorum();
  Result<void> write_metadata_checkpoint(const storage::LogPositions& positions);
  void make_services();
  void make_broker_parts();
  void make_transactions();
  std::size_t strand_index(const io::Strand& strand) const;

  // disks.cc
  void watch_directories();
  void on_directory_change();
  void report_directories();
  void watch_full_directories();
  bool others_can_take_over(const DirectoryId& directory) const;
  void update_cordoned(const metadata::MetadataImage& image);
  void describe_directories(io::Strand& strand,
                            UniqueFunction<void(std::vector<handlers::LogDirectory>)> done);

  // publish.cc
  void publish(const metadata::MetadataUpdate& update);
  std::shared_ptr<const security::Authorizer> make_authorizer(
      const metadata::MetadataImage& image) const;
  void learn_addresses(const metadata::MetadataUpdate& update);
  void create_offsets_topic();
  void create_transaction_topic();
  void create_internal_topic(protocol::CreateTopicsRequest::CreatableTopic topic);
  void watch_certificates();

  std::unique_ptr<storage::LogDirectories> logs_;
  std::shared_ptr<storage::Log> metadata_storage_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<quorum::ClientPeers> quorum_peers_;
  std::unique_ptr<quorum::MetadataLog> metadata_log_;
  std::unique_ptr<controller::Controller> controller_;
  std::unique_ptr<controller::ControllerRouter> router_;
  std::vector<std::unique_ptr<controller::RoutingChannel>> channels_;      // by strand
  std::vector<std::unique_ptr<controller::LocalChannel>> local_channels_;  // by strand
  io::Published<handlers::ClusterState> state_;
  io::Published<quorum::LeaderAndEpoch> quorum_leader_;
  std::unique_ptr<Credentials> credentials_;
  std::vector<std::shared_ptr<BearerTokens>> bearer_tokens_;  // by listener that takes them
  std::unique_ptr<server::ClientQuotas> client_quotas_;
  std::unique_ptr<handlers::Services> services_;
  std::unique_ptr<handlers::Registry> registry_;
  std::unique_ptr<StartingGate> gate_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<BrokerConnector> broker_connector_;
  std::unique_ptr<IsrChangeSender> isr_changes_;
  std::unique_ptr<DirectoryAssignments> directory_assignments_;
  std::unique_ptr<coordinator::transaction::PartitionVerifier> verifier_;
  std::unique_ptr<replication::ReplicaManager> replicas_;
  std::unique_ptr<coordinator::group::GroupCoordinator> groups_;
  std::unique_ptr<handlers::ProducerIds> producer_ids_;
  std::unique_ptr<BrokerLines> broker_lines_;
  std::unique_ptr<coordinator::transaction::TransactionCoordinator> transactions_;
  std::vector<std::unique_ptr<replication::FetchSessionCache>> fetch_sessions_;  // by strand
  // On main.
  Done on_started_;  // set while start() is under way
  Done on_stopped_;
  Task on_caught_up_;  // the image contains this broker's registration
  bool stopping_ = false;
  bool loading_ = false;  // the pool has the logs
  bool logs_loaded_ = false;
  std::optional<storage::LogPositions> truncated_while_loading_;  // of the metadata log
  bool replicating_ = false;                                      // images reach replication
  bool lost_disk_ = false;           // the metadata log is gone: no farewell, the sooner the better
  std::set<DirectoryId> set_aside_;  // full ones whose partitions others can lead
  bool watching_full_ = false;       // watch_full_directories() comes again
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::node
