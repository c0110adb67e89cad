#pragma once

#include <string>

#include "operator/controllers/context.h"
#include "operator/plan/cluster_plan.h"

namespace op::controllers {

/// Applies what model renders, in its order, and removes Services, ConfigMaps and policies of the
/// cluster that are rendered no more; never StatefulSets, Secrets or volumes. Goes on after a
/// failure and returns the first: "Service orders-bootstrap: …".
broker::Result<void> apply_objects(const Context& context, const api::Cluster& cluster);

/// Run-time configuration that the spec names, as one batched request.
void apply_dynamic_config(const Context& context, const api::Cluster& cluster,
                          std::int64_t generation, ClusterHandle& handle,
                          const broker::metadata::MetadataImage& image);

/// Deletes the pod that is to restart, if any.
broker::Result<void> apply_roll(const Context& context, const kube::Object& object,
                                const plan::RollAction& action);

/// Moves of replicas, cordons, brokers to be forgotten, leaders to be put back: what is due, unless
/// the round before is still under way.
void apply_scale(const Context& context, const api::Cluster& cluster, const plan::ScaleStep& step,
                 const plan::RollAction& roll, const broker::metadata::MetadataImage& image,
                 const ClusterHandlePtr& handle);

/// Begins the next change of the voters, if one is due.
void apply_voters(const Context& context, const api::Cluster& cluster,
                  const plan::VoterAction& action, ClusterHandle& handle);

}  // namespace op::controllers
