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

/// Whether the names of nodes that were restarted or join lead to them: ObservedPod::name_is_stale.
void observe_names(const Context& context, const api::Cluster& cluster, plan::ClusterInput& input);

/// Looks up the racks of nodes whose pods run where they did not run before, into
/// status.placements. What cannot be read stays unknown; returns the first error.
broker::Result<void> observe_placements(const Context& context, api::Cluster& cluster,
                                        const std::vector<plan::ObservedPod>& pods);

/// The quorum for the plan; asked for anew while something waits for it.
void observe_quorum(const api::Cluster& cluster, ClusterHandle& handle, plan::ClusterInput& input);

/// How the operator reaches it: CONTROLLER and INTERNAL listeners, by its own certificate. nullopt
/// while there are no certificates yet.
std::optional<kafka::ConnectionSpec> connection_of(const Context& context,
                                                   const api::Cluster& cluster);

/// Whether a maintenance window is open. A time zone that is not known here becomes an error of the
/// spec.
void observe_window(const Context& context, const api::Cluster& cluster, plan::ClusterInput& input);

/// Certificates that end before a broker can have the next ones become an error of the spec.
void check_leaf_validity(const Context& context, const api::Cluster& cluster,
                         plan::ClusterInput& input);

/// Draws what a new cluster gets once; used only where status has none yet.
plan::Identity draw_identity(const api::Cluster& cluster);

}  // namespace op::controllers
