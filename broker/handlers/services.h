#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/config/broker_config.h"
#include "broker/io/published.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/quorum/types.h"
#include "broker/security/authorizer.h"

namespace broker::controller {
class Controller;
class ControllerChannel;
class ControllerRouter;
}  // namespace broker::controller
namespace broker::coordinator::group {
class GroupCoordinator;
}
namespace broker::coordinator::transaction {
class TransactionCoordinator;
}
namespace broker::quorum {
class MetadataLog;
}
namespace broker::server {
class ClientQuotas;
}
namespace broker::replication {
class FetchSessionCache;
class ReplicaManager;
}  // namespace broker::replication

namespace broker::handlers {

class Registry;
class ProducerIds;

/// The cluster as one request sees it, from its start to its end.
struct ClusterState {
  metadata::ImagePtr image;
  /// Null: no authorizer is configured, everything is allowed.
  std::shared_ptr<const security::Authorizer> authorizer;
};

/// One entry of log.dirs.
struct LogDirectory {
  std::string path;
  bool is_offline = false;
  std::int64_t total_bytes = -1;  // of its file system; -1: unknown
  std::int64_t usable_bytes = -1;
  bool is_cordoned = false;
};

/// What the handlers call. Filled by node/ before the first listener opens; everything outlives the
/// server.
struct Services {
  const config::BrokerConfig& config;
  std::string cluster_id;
  io::Published<ClusterState>& state;
  Registry* registry = nullptr;
  /// The channel whose answers arrive on that strand.
  std::function<controller::ControllerChannel&(io::Strand&)> controller;
  /// To the controller of this very node, whether it is active or not.
  std::function<controller::ControllerChannel&(io::Strand&)> local_controller;
  /// Who leads the quorum, as far as this node knows.
  io::Published<quorum::LeaderAndEpoch>* quorum_leader = nullptr;
  // These three live on controller_strand.
  io::Strand* controller_strand = nullptr;
  quorum::MetadataLog* metadata_log = nullptr;
  controller::Controller* node_controller = nullptr;
  controller::ControllerRouter* router = nullptr;
  // Null on nodes without the broker role, whose listeners serve nothing that needs them.
  replication::ReplicaManager* replicas = nullptr;
  coordinator::group::GroupCoordinator* groups = nullptr;
  coordinator::transaction::TransactionCoordinator* transactions = nullptr;
  ProducerIds* producer_ids = nullptr;
  server::ClientQuotas* client_quotas = nullptr;
  /// Answers on the given strand; its file systems are asked on the pool.
  std::function<void(io::Strand&, UniqueFunction<void(std::vector<LogDirectory>)>)> log_directories;
  /// The sessions of one connection strand.
  std::function<replication::FetchSessionCache&(io::Strand&)> fetch_sessions;
};

}  // namespace broker::handlers
