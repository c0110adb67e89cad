#pragma once

#include <string>

#include "operator/controllers/metrics.h"
#include "operator/controllers/operator.h"

namespace op::app {

/// Prometheus' text of what the loops did and, on the replica that acts, of everything that the
/// operator looks after: docs/metrics.md. `collector` is that of `op`.
std::string metrics_text(controllers::Operator& op, controllers::MetricsCollector& collector,
                         bool leader);

}  // namespace op::app
