#pragma once

#include <memory>

#include "operator/cli/brokers.h"
#include "operator/cli/options.h"

namespace op::cli {

/// Connects as the options say. Errors: those of Brokers::connect() with a hint what to do,
/// kInvalidConfig for options that do not say enough, kResourceNotFound.
broker::Result<std::unique_ptr<Brokers>> open_kafka(const Target& target);

}  // namespace op::cli
