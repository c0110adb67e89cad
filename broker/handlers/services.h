#pragma once

#include <functional>
#include <memory>
#include <string>

#include "broker/common/ids.h"
#include "broker/config/broker_config.h"
#include "broker/io/published.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/security/authorizer.h"

namespace broker::controller {
class ControllerChannel;
}
namespace broker::coordinator::group {
class GroupCoordinator;
}
namespace broker::quorum {
class MetadataLog;
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

/// What the handlers call. Filled by node/ before the first listener opens; everything outlives the
/// server.
struct Services {
  const config::BrokerConfig& config;
  std::string cluster_id;
  io::Published<ClusterState>& state;
  Registry* registry = nullptr;
  /// The channel whose answers arrive on that strand.
  std::function<controller::ControllerChannel&(io::Strand&)> controller;
  quorum::MetadataLog* metadata_log = nullptr;  // null on nodes without the controller role
  io::Strand* controller_strand = nullptr;      // where metadata_log lives
  replication::ReplicaManager* replicas = nullptr;
  coordinator::group::GroupCoordinator* groups = nullptr;
  ProducerIds* producer_ids = nullptr;
  /// The sessions of one connection strand.
  std::function<replication::FetchSessionCache&(io::Strand&)> fetch_sessions;
};

}  // namespace broker::handlers
