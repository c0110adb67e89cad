#pragma once

#include <cstdint>

#include "broker/common/time.h"

namespace broker::controller {

/// What this node did while it was the active controller; totals since start.
struct ControllerMetrics {
  std::int64_t unclean_elections = 0;  // kafka_controller_controllerstats_uncleanleaderelections
  std::int64_t commits = 0;            // batches of records
  Duration commit_time{0};             // from append to high watermark, of all summed
};

}  // namespace broker::controller
