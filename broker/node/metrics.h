#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/controller/metrics.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/replication/metrics.h"
#include "broker/server/client_quotas.h"
#include "broker/server/metrics.h"

namespace broker::node {

struct LogDirectoryMetrics {
  std::string path;
  bool offline = false;
  bool full = false;
};

/// What the endpoint shows of one broker, gathered at one moment.
struct NodeMetrics {
  BrokerId node_id;
  std::string cluster_id;
  replication::MetricsSnapshot replication;
  coordinator::group::GroupMetrics groups;
  std::vector<server::ClientQuotas::Usage> quotas;
  bool is_controller = false;  // has the controller role
  bool is_voter = false;
  bool active_controller = false;
  std::int32_t quorum_leader = -1;  // -1: none is known
  std::int64_t offline_partitions = 0;
  std::int64_t active_brokers = 0;
  std::int64_t fenced_brokers = 0;
  std::int64_t topics = 0;
  std::int32_t quorum_epoch = 0;
  std::int64_t quorum_high_watermark = 0;
  std::int64_t quorum_log_end_offset = 0;
  std::int64_t metadata_offset = 0;
  std::int32_t quorum_vote = -1;  // -1: none in this epoch
  std::vector<LogDirectoryMetrics> log_dirs;
  controller::ControllerMetrics controller;
  std::size_t loops = 1;  // event loops that this node runs on
};

}  // namespace broker::node
