#pragma once

#include <cstdint>
#include <functional>

#include "broker/common/defect.h"
#include "broker/sim/campaign.h"

namespace broker::sim {

struct ManyOptions {
  std::uint64_t first = 1;
  std::uint64_t count = 100;
  double seconds = 0;  // real time after which no seed is begun; 0: no end
  int jobs = 2;
  int nodes = 0;  // of every cluster; 0: what the seed says
  Defect defect = Defect::kNone;
  bool until_failure = false;  // the first failed seed ends it
};

struct ManyResult {
  std::uint64_t seeds = 0, failed = 0;
  double simulated_hours = 0;
  std::uint64_t faults = 0, acknowledged = 0, read = 0, commits = 0, events = 0;
  std::uint64_t committed_transactions = 0, aborted_transactions = 0, handovers = 0;
};

/// Runs many seeds, `jobs` processes at a time. A process that dies in a seed (a CHECK) is a failed
/// seed, and another takes over behind it. `on_report` gets every seed's report, in no order.
ManyResult run_many(const ManyOptions& options,
                    const std::function<void(const Report& report)>& on_report);

}  // namespace broker::sim
