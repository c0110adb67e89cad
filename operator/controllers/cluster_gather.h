#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/controllers/cluster_pki.h"
#include "operator/controllers/context.h"
#include "operator/plan/cluster_plan.h"

namespace op::controllers {

/// The cluster's pods as the cache has them.
std::vector<plan::ObservedPod> observe_pods(const Context& context, const api::Cluster& cluster);

/// How the operator reaches it: CONTROLLER and INTERNAL listeners, by its own certificate. nullopt
/// while there are no certificates yet.
std::optional<kafka::ConnectionSpec> connection_of(const Context& context,
                                                   const api::Cluster& cluster);

/// Draws what a new cluster gets once; used only where status has none yet.
plan::Identity draw_identity(const api::Cluster& cluster);

}  // namespace op::controllers
