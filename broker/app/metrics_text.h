#pragma once

#include <string>

#include "broker/node/node.h"

namespace broker::app {

/// The node's metrics in Prometheus' text format, under the names that Kafka's dashboards and
/// alerts query (docs/metrics.md). Not from a strand: gathers from all of them.
std::string metrics_text(node::Node& node);

}  // namespace broker::app
