#include "operator/cli/commands.h"
#include "operator/cli/options.h"

int main(int argc, char** argv) {
  const op::cli::Parsed parsed = op::cli::parse_command_line(argc, argv);
  return parsed.run ? op::cli::run_command(parsed.options) : parsed.exit_code;
}
