#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "operator/api/cluster.h"
#include "operator/cli/text.h"

namespace op::cli {

class Resources;

/// A resource of the cluster that is not as it should be.
struct Warning {
  std::string what;  // "Cluster orders", "Topic shop-orders"
  std::string reason;
  std::string message;

  bool operator==(const Warning&) const = default;
};

/// A Cluster and what belongs to it, as its resources say.
struct ClusterReport {
  api::Cluster cluster;
  std::int64_t topics = 0;
  std::int64_t users = 0;
  std::int64_t acls = 0;
  std::vector<std::string> user_names;
  std::vector<Warning> warnings;
  std::vector<std::string> not_seen;  // kinds that may not be listed
};

broker::Result<ClusterReport> gather_report(Resources& resources, api::Cluster cluster);

/// What the conditions of a Cluster warn of, each matter once. Pure.
std::vector<Warning> warnings_of(const api::Cluster& cluster);

/// One line per cluster.
std::string render_clusters(const std::vector<api::Cluster>& clusters, const Terminal& terminal);
std::string render_report(const ClusterReport& report, const Terminal& terminal);
std::string reports_json(const std::vector<ClusterReport>& reports);

}  // namespace op::cli
