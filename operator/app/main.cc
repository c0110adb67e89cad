#include "operator/app/options.h"
#include "operator/app/process.h"

int main(int argc, char** argv) {
  const op::app::Parsed parsed = op::app::parse_command_line(argc, argv);
  if (!parsed.run) return parsed.exit_code;
  op::app::prepare_process(parsed.options);
  switch (parsed.options.mode) {
    case op::app::Mode::kCluster:
      return op::app::run_in_cluster(parsed.options);
    case op::app::Mode::kStandalone:
      return op::app::run_standalone(parsed.options);
    case op::app::Mode::kStripFinalizers:
      return op::app::strip_finalizers(parsed.options);
  }
  return 1;
}
