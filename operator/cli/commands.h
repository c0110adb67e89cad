#pragma once

#include "operator/cli/options.h"

namespace op::cli {

/// Runs what was asked for; returns the exit code.
int run_command(const Options& options);

}  // namespace op::cli
