#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/api/cluster.h"
#include "operator/api/validate.h"
#include "operator/plan/balance.h"
#include "operator/plan/maintenance.h"
#include "operator/plan/quorum_plan.h"
#include "operator/plan/roller.h"
#include "operator/plan/scale.h"
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
  bool restart_asked = false;  // model::kRestartAnnotation on the pod
  /// Its name leads nowhere yet, or to where the pod before it was: clients would not reach it.
  bool name_is_stale = false;
  std::string node;     // where it runs; "" until it is scheduled
  std::string address;  // of the pod; "" until it has one
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
  /// Unknown until the quorum has described itself, and always with one that cannot.
  std::optional<ObservedQuorum> quorum;
  bool quorum_is_current = false;  // asked for after the last change of a pod
  /// What has to be done about the voters and cannot: "the brokers do not support AddRaftVoter".
  std::string voter_problem;
  /// Failed writes to Kubernetes of this round: "Service orders-bootstrap: …".
  std::string apply_problem;
  PartitionBytes bytes;  // while nodes come or go; empty: not known
  /// Nodes that are not declared any more and still there: hold_leaving_nodes() has put them back.
  std::set<std::int32_t> leaving;
  WindowState window;                   // whether pods may be restarted that could go on
  std::optional<api::RollStatus> roll;  // what plan_roll says; shown in status
  ScaleStep scale;                      // what plan_scale says
  /// As it was written to the Secrets; nullopt: not known, what was shown stands.
  std::optional<api::CertificatesStatus> certificates;
  /// A Secret with a certificate of the user's that cannot be used; what was served still is.
  std::optional<Verdict> certificate_problem;
  std::optional<Verdict> rotating;  // a CA is replaced, and this is what its next step waits for
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

/// The nodes whose racks have to be looked up: their pods run where they did not run before.
std::vector<api::NodePlacement> unknown_placements(const api::Cluster& cluster,
                                                   const std::vector<ObservedPod>& pods);

/// The complete status: conditions Ready, Reconciling, Stalled, Degraded,
/// listeners, pools.
api::ClusterStatus plan_cluster_status(const ClusterInput& in);

LeavingVoters leaving_voters(const ClusterInput& in);
/// The pod of a node; nullptr when there is none.
const ObservedPod* find_pod(const ClusterInput& in, std::int32_t node_id);
/// Why the node does not run as it should; nullopt: its pod is ready.
std::optional<Verdict> node_problem(const ClusterInput& in, std::int32_t node_id);
/// Why the pod must be restarted; nullopt: it runs what is declared.
std::optional<std::string> outdated(const ClusterInput& in, const ObservedPod& pod);

/// spec.config keys that apply at run time, as the difference to the cluster-wide dynamic
/// configuration of the image. Only keys that the spec names or once named (status.owned_config)
/// are touched, and min.insync.replicas where the metadata log pins it (KIP-966).
std::vector<std::pair<std::string, std::optional<std::string>>> plan_dynamic_config(
    const api::Cluster& cluster, const broker::metadata::MetadataImage& image);

}  // namespace op::plan
