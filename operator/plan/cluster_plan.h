#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/api/cluster.h"
#include "operator/api/validate.h"
#include "operator/plan/types.h"

namespace op::plan {

struct ObservedPod {
  std::int32_t node_id = 0;
  std::string name;
  std::string uid;
  bool ready = false;
  bool deleting = false;
  std::string declared_digest;  // annotation of the running pod
  std::string problem;          // "ImagePullBackOff: …", "Unschedulable: …"; "" when none
  bool unschedulable = false;
};

struct ClusterInput {
  const api::Cluster& cluster;
  std::vector<api::FieldError> errors;  // api::validate
  std::vector<ObservedPod> pods;
  /// Digest that new pods get, per pool name.
  std::map<std::string, std::string> declared_digests;
  /// Null while unknown: not connected yet.
  const broker::metadata::MetadataImage* image = nullptr;
  bool synced = false;              // the image is current
  std::string observed_cluster_id;  // "" until somebody answered
  std::string problem;              // why not synced
  /// Failed writes to Kubernetes of this round: "Service orders-bootstrap: …".
  std::string apply_problem;
  api::Timestamp now;
};

/// What is issued once in a cluster's life: cluster id, directory ids of the first controllers,
/// version and image. Returns nullopt when status has it all. Write it before anything that
/// depends on it is created.
struct Identity {
  std::string cluster_id;  // of 22 characters, random
  std::vector<std::string> directory_ids;
};
std::optional<api::ClusterStatus> plan_identity(const api::Cluster& cluster, const Identity& fresh,
                                                const std::string& image);

/// The complete status: conditions Ready, Reconciling, Stalled, Degraded, listeners, pools.
api::ClusterStatus plan_cluster_status(const ClusterInput& in);

struct Nothing {
  bool operator==(const Nothing&) const = default;
};
struct WaitUntilReady {
  Verdict why;
  bool operator==(const WaitUntilReady&) const = default;
};
struct RestartBroker {
  std::int32_t node_id = 0;
  std::string pod;
  std::string uid;  // delete only this one
  Verdict why;
  bool operator==(const RestartBroker&) const = default;
};
using RollAction = std::variant<Nothing, WaitUntilReady, RestartBroker>;
/// One at a time, and unready ones first.
RollAction next_roll_action(const ClusterInput& in);

/// spec.config keys that apply at run time, as the difference to the cluster-wide dynamic
/// configuration of the image. Only keys that the spec names or once named (status.owned_config)
/// are touched.
std::vector<std::pair<std::string, std::optional<std::string>>> plan_dynamic_config(
    const api::Cluster& cluster, const broker::metadata::MetadataImage& image);

}  // namespace op::plan
