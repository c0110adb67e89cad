#pragma once

#include <string>

#include "broker/app/metrics_history.h"
#include "broker/node/node.h"

namespace broker::app {

/// A node's metrics in Prometheus' text format, under the names that Kafka's dashboards and alerts
/// query (docs/metrics.md). Null: the node does not serve clients; only the process is shown.
/// `history`: what earlier calls saw, for rates and quantiles of the last minutes.
std::string metrics_text(const node::Node& node, const node::NodeMetrics* metrics,
                         MetricsHistory& history);

}  // namespace broker::app
