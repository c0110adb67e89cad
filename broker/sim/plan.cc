#include "broker/sim/plan.h"

#include <fmt/format.h>

#include "broker/common/rng.h"

namespace broker::sim {

Plan draw_plan(std::uint64_t seed) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Rng rng(seed * 0x2545f4914f6cdd1dULL + 1);
  Plan plan;
  plan.seed = seed;
  const std::uint64_t size = rng.below(10);
  plan.nodes = size < 2 ? 1 : size < 9 ? 3 : 5;
  plan.cores = 1 + rng.below(2);
  plan.partitions = 1 + static_cast<int>(rng.below(3));
  plan.producers = 1 + static_cast<int>(rng.below(2));
  plan.readers = 1;
  plan.groups = 1;
  plan.pause_between_batches = milliseconds(300 + rng.below(2000));
  plan.storm = seconds(200 + rng.below(400));
  plan.calm = seconds(3 + rng.below(25));
  // Each run without some of the faults, so that others last long enough to matter.
  const auto often = [&rng] { return rng.below(10) < 7; };
  plan.kills = often();
  plan.power_failures = often();
  plan.freezes = often();
  plan.partitions_of_network = often();
  plan.resets = often();
  plan.restarts = often();
  plan.slow_disks = often();
  plan.clock_skew = rng.below(4) == 0;
  plan.administration = rng.below(2) == 0;
  plan.transactors = static_cast<int>(rng.below(3));
  plan.old_transactors = rng.below(2) == 0;
  const auto some_members = [&rng] { return rng.below(2) == 0 ? 0 : 2 + int(rng.below(2)); };
  plan.classic_members = some_members();
  plan.consumer_members = some_members();
  return plan;
}

std::string describe(const Plan& plan) {
  std::string text =
      fmt::format("seed {}: {} nodes of {} cores, {} partitions, {} producers, {} s with",
                  plan.seed, plan.nodes, plan.cores, plan.partitions, plan.producers,
                  std::chrono::duration_cast<std::chrono::seconds>(plan.storm).count());
  if (plan.transactors > 0)
    text += fmt::format(" {} {}transactors", plan.transactors, plan.old_transactors ? "old " : "");
  if (plan.classic_members > 0) text += fmt::format(" {} classic members", plan.classic_members);
  if (plan.consumer_members > 0) text += fmt::format(" {} consumer members", plan.consumer_members);
  const auto add = [&text](bool wanted, const char* what) {
    if (wanted) text += std::string(" ") + what;
  };
  add(plan.kills, "kills");
  add(plan.power_failures, "power-failures");
  add(plan.freezes, "freezes");
  add(plan.partitions_of_network, "partitions");
  add(plan.resets, "resets");
  add(plan.restarts, "restarts");
  add(plan.slow_disks, "slow-disks");
  add(plan.disk_errors, "disk-errors");
  add(plan.clock_skew, "clock-skew");
  add(plan.administration, "administration");
  return text;
}

}  // namespace broker::sim
