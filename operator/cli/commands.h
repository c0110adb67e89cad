#pragma once

#include "operator/cli/options.h"

namespace op::cli {

/// Runs what was asked for; returns the exit code.
int run_command(const Options& options);

int run_reset_offsets(const Options& options);
int run_roll(const Options& options);
int run_rebalance(const Options& options);
int run_produce(const Options& options);
int run_consume(const Options& options);

}  // namespace op::cli
