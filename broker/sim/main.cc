// millrace-sim: runs seeds of the cluster simulation, several processes at a time.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "broker/sim/campaign.h"
#include "broker/sim/defects.h"
#include "broker/sim/many.h"

namespace {

using broker::sim::Report;

void print(const Report& report) {
  std::printf(
      "seed %llu: %s (%.0f s simulated, %llu events, %llu faults, %llu acknowledged, "
      "trace %016llx)\n",
      static_cast<unsigned long long>(report.seed),
      report.violation ? report.violation->c_str() : "ok",
      std::chrono::duration<double>(report.simulated).count(),
      static_cast<unsigned long long>(report.events),
      static_cast<unsigned long long>(report.faults),
      static_cast<unsigned long long>(report.acknowledged),
      static_cast<unsigned long long>(report.trace_hash));
  std::fflush(stdout);
}

/// One seed in this process, with every line of its trace.
int replay(std::uint64_t seed, int nodes, bool trace) {
  auto plan = broker::sim::draw_plan(seed);
  if (nodes > 0) plan.nodes = nodes;
  std::printf("%s\n", broker::sim::describe(plan).c_str());
  const auto line = [](std::string_view text) {
    std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  };
  const Report report = broker::sim::run(plan, trace ? broker::sim::TraceSink(line) : nullptr);
  print(report);
  return report.violation ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Simulates Millrace clusters under faults, from seeds");
  std::uint64_t seed = 0;
  broker::sim::ManyOptions many;
  bool quiet = false, forever = false;
  app.add_option("--seed", seed, "only this seed, with its trace");
  app.add_flag("--quiet", quiet, "without the trace");
  app.add_option("--nodes", many.nodes, "of every cluster, instead of what the seed says");
  app.add_option("--first", many.first, "the first of many seeds")->capture_default_str();
  app.add_option("--count", many.count, "how many seeds")->capture_default_str();
  app.add_option("--seconds", many.seconds, "begin no seed after so many seconds");
  app.add_option("--jobs", many.jobs, "processes")->capture_default_str();
  app.add_flag("--forever", forever, "seed after seed until stopped");
#ifdef MILLRACE_DEFECTS
  bool defects = false;
  std::string only;
  app.add_flag("--defects", defects, "every planted defect, until a seed finds it");
  app.add_option("--only", only, "of the defects, those whose names contain this");
#endif
  CLI11_PARSE(app, argc, argv);
#ifdef MILLRACE_DEFECTS
  if (defects) return broker::sim::find_defects(many.count, many.jobs, only) > 0 ? 1 : 0;
#endif
  if (app.count("--seed") > 0) return replay(seed, many.nodes, !quiet);
  if (forever) many.count = UINT64_MAX;
  const auto result = broker::sim::run_many(many, [&](const Report& report) {
    if (report.violation || forever) print(report);
  });
  std::printf("%llu seeds, %.1f simulated hours, %llu failed\n",
              static_cast<unsigned long long>(result.seeds), result.simulated_hours,
              static_cast<unsigned long long>(result.failed));
  std::printf(
      "%llu faults, %llu records acknowledged, %llu read, %llu offsets committed, %llu events\n",
      static_cast<unsigned long long>(result.faults),
      static_cast<unsigned long long>(result.acknowledged),
      static_cast<unsigned long long>(result.read), static_cast<unsigned long long>(result.commits),
      static_cast<unsigned long long>(result.events));
  std::printf("%llu transactions committed, %llu aborted; partitions given to members %llu times\n",
              static_cast<unsigned long long>(result.committed_transactions),
              static_cast<unsigned long long>(result.aborted_transactions),
              static_cast<unsigned long long>(result.handovers));
  return result.failed > 0 ? 1 : 0;
}
