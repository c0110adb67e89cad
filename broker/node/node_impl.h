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

  using Done = UniqueFunction<void(Result<void>)>;
  // On the main strand.
  void start(Done done);
  void stop(Done done);
  void collect(UniqueFunction<void(NodeMetrics)> done);
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
  // start.cc: each step calls the next when it is done, or end_start() with what went wrong.
  Result<void> open_log_directory();
  Result<void> start_controller();
  Result<void> start_server();
  void register_broker();
  void load_logs();
  void start_replication();
  void unfence();
  void end_start(Result<void> result);
  bool start_goes_on();
  std::vector<protocol::BrokerRegistrationRequest::Listener> advertised_listeners() const;

  // stop.cc
  void leave_cluster();
  void stop_server();
  void stop_parts();
  void end_stop(Result<void> result);

  // services.cc
  void make_services();
  std::size_t strand_index(const io::Strand& strand) const;

  // publish.cc
  void publish(const metadata::MetadataUpdate& update);
  void create_offsets_topic();
  void watch_certificates();

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
  // On main.
  Done on_started_;  // set while start() is under way
  Done on_stopped_;
  bool stopping_ = false;
  bool replicating_ = false;  // images reach replication
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::node
