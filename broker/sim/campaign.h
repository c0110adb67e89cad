#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/common/time.h"
#include "broker/sim/plan.h"

namespace broker::sim {

struct Report {
  std::uint64_t seed = 0;
  /// What went wrong, and when; nullopt: nothing.
  std::optional<std::string> violation;
  Duration simulated{};
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0, faults = 0, acknowledged = 0, read = 0, commits = 0;
  std::uint64_t committed_transactions = 0, aborted_transactions = 0;
  std::uint64_t handovers = 0;  // of partitions, from one member of a group to another
};

/// A readable line for each thing that happens.
using TraceSink = std::function<void(std::string_view line)>;

/// Runs one cluster through its plan: start, clients, faults, healing, and the last checks. The
/// same plan gives the same run. Takes over the process's log sink meanwhile.
Report run(const Plan& plan, const TraceSink& trace = nullptr);

}  // namespace broker::sim
