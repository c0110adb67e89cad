#pragma once

#include <string>
#include <vector>

#include "operator/api/rebalance.h"
#include "operator/cli/text.h"

namespace op::cli {

/// One with its proposal: what it is about, how far it is, who holds how much before and after.
std::string render_rebalance(const api::Rebalance& rebalance, const Terminal& terminal);
/// A line each.
std::string render_rebalances(const std::vector<api::Rebalance>& rebalances,
                              const Terminal& terminal);
std::string rebalances_json(const std::vector<api::Rebalance>& rebalances);

}  // namespace op::cli
