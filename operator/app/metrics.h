#pragma once

#include <string>

#include "operator/controllers/operator.h"

namespace op::app {

/// Prometheus text of the loops' counters: millrace_operator_reconciles_total,
/// millrace_operator_reconcile_failures_total, millrace_operator_reconcile_seconds_total by kind,
/// millrace_operator_queue_depth, millrace_operator_leader, and the process's memory.
std::string metrics_text(controllers::Operator& op, bool leader);

}  // namespace op::app
