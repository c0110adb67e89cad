#pragma once

#include <string>

#include "broker/node/node.h"

namespace broker::app {

/// A node's metrics in Prometheus' text format, under the names that Kafka's dashboards and alerts
/// query (docs/metrics.md). Null: the node does not serve clients; only the process is shown.
std::string metrics_text(const node::Node& node, const node::NodeMetrics* metrics);

}  // namespace broker::app
