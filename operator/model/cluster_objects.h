#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "operator/api/cluster.h"

/// What Kubernetes objects a Cluster wants, as complete JSON for server-side apply: only fields we
/// own, in a stable order, with labels and an owner reference. Equal input gives equal output.
namespace op::model {

struct ClusterInputs {
  const api::Cluster& cluster;  // validated; its status holds cluster id, controllers and image
  std::string operator_namespace;
  /// Labels of the operator's own pods, for the NetworkPolicy. Empty: any pod of its namespace.
  std::map<std::string, std::string> operator_labels;
};

/// ServiceAccount, Services, ConfigMaps, PodDisruptionBudget, NetworkPolicy and StatefulSets; in
/// the order in which they should be applied. Secrets are in secrets.h.
std::vector<nlohmann::json> render_cluster(const ClusterInputs& inputs);

/// The image that a new cluster gets and that status then pins: spec.image over the operator's
/// default, part by part ("registry/repository:tag" or "@digest").
std::string resolve_image(const api::ImageSpec& image, const std::string& default_image);

/// server.properties of a pool, and what differs per node (advertised listeners, directories,
/// certificate): `<id>.properties`, laid over it.
std::string server_properties(const api::Cluster& cluster, const api::PoolSpec& pool);
std::string node_properties(const api::Cluster& cluster, const api::PoolSpec& pool,
                            std::int32_t node_id);
/// Whether the node's file is held back until it is known where the pod runs.
bool awaits_rack(const api::Cluster& cluster, const api::PoolSpec& pool, std::int32_t node_id);
/// What an empty disk is formatted with; see README.md.
std::string cluster_json(const api::Cluster& cluster);

/// Changes exactly when something changes that the user declared and that only a new pod can take
/// up. Not a function of the rendered template: an operator upgrade restarts nothing.
std::string declared_digest(const api::Cluster& cluster, const api::PoolSpec& pool);

}  // namespace op::model
