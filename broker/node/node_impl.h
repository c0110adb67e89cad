#pragma once

#include <atomic>

#include "broker/controller/controller.h"
#include "broker/controller/local_channel.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/handlers/producer_ids.h"
#include "broker/handlers/registry.h"
#include "broker/handlers/services.h"
#include "broker/node/credentials.h"
#include "broker/node/membership.h"
#include "broker/node/node.h"
#include "broker/node/starting_gate.h"
#include "broker/quorum/metadata_log.h"
#include "broker/replication/fetch_session.h"
#include "broker/replication/replica_manager.h"
#include "broker/storage/log_manager.h"

namespace broker::node {

/// The parts in the order in which they come to life; they die in the opposite one.
class Node::Impl final : public controller::ImageListener {
 public:
  Impl(Ports ports, config::BrokerConfig config);
  ~Impl() override;

  Result<void> start();
  Result<void> stop();
  NodeMetrics collect();

  // On the main strand.
  void on_image(const metadata::MetadataUpdate& update) override;
  void on_controller_fatal(const Error& error) override;

  io::Strand& main() { return *ports_.strands.front(); }

  const Ports ports_;
  const config::BrokerConfig config_;
  std::function<void(const Error&)> on_fatal_;
  std::atomic<bool> ready_{false};
  std::unique_ptr<server::Server> server_;
  std::string cluster_id_;

 private:
  // start, step by step
  Result<void> open_log_directory();
  Result<void> start_controller();
  void make_services();
  Result<void> start_server();
  Result<void> register_broker();
  Result<void> load_logs();
  void start_replication();
  void watch_certificates();

  void publish(const metadata::MetadataUpdate& update);
  void create_offsets_topic();
  std::vector<protocol::BrokerRegistrationRequest::Listener> advertised_listeners() const;
  std::size_t strand_index(const io::Strand& strand) const;

  std::unique_ptr<storage::LogManager> logs_;
  std::shared_ptr<storage::Log> metadata_storage_;
  std::unique_ptr<quorum::MetadataLog> metadata_log_;
  std::unique_ptr<controller::Controller> controller_;
  std::vector<std::unique_ptr<controller::LocalChannel>> channels_;  // by strand
  io::Published<handlers::ClusterState> state_;
  std::unique_ptr<Credentials> credentials_;
  std::unique_ptr<handlers::Services> services_;
  std::unique_ptr<handlers::Registry> registry_;
  std::unique_ptr<StartingGate> gate_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<replication::ReplicaManager> replicas_;
  std::unique_ptr<coordinator::group::GroupCoordinator> groups_;
  std::unique_ptr<handlers::ProducerIds> producer_ids_;
  std::vector<std::unique_ptr<replication::FetchSessionCache>> fetch_sessions_;  // by strand
  bool replicating_ = false;  // images reach replication; on main
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::node
