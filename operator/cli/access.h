#pragma once

#include <memory>
#include <string>

#include "operator/api/cluster.h"
#include "operator/cli/brokers.h"
#include "operator/cli/options.h"

namespace op::cli {

class Resources;

/// Connects as the options say: by --bootstrap and --client-config alone, or as a User of the
/// Cluster that they mean. Errors: those of Brokers::connect() with a hint what to do,
/// kInvalidConfig for options that do not say enough, those of Resources.
broker::Result<std::unique_ptr<Brokers>> open_kafka(const Target& target);

/// Which of the listeners that a user's Secret opens is used from here: the wanted one, else the
/// first that is reachable. Pure. Errors: kResourceNotFound (no such listener),
/// kBrokerNotAvailable when none is reachable, with how to make one so.
broker::Result<std::string> choose_listener(const api::Cluster& cluster,
                                            const std::vector<std::string>& opened, bool is_inside,
                                            const std::string& wanted);

}  // namespace op::cli
