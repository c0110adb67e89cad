#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "operator/reconcile/types.h"

namespace op::kube {

using reconcile::ObjectKey;

/// A kind as the API server addresses it.
struct Kind {
  std::string_view group;  // "" = core
  std::string_view version;
  std::string_view kind;
  std::string_view plural;
  bool namespaced = true;

  /// "apps/v1", "v1".
  std::string api_version() const;
  bool operator==(const Kind& other) const { return kind == other.kind && group == other.group; }
};

inline constexpr Kind kCluster{"millrace.io", "v1beta1", "Cluster", "clusters"};
inline constexpr Kind kTopic{"millrace.io", "v1beta1", "Topic", "topics"};
inline constexpr Kind kUser{"millrace.io", "v1beta1", "User", "users"};
inline constexpr Kind kAcl{"millrace.io", "v1beta1", "ACL", "acls"};
inline constexpr Kind kExternalCluster{"millrace.io", "v1beta1", "ExternalCluster",
                                       "externalclusters"};
inline constexpr Kind kRebalance{"millrace.io", "v1beta1", "Rebalance", "rebalances"};
inline constexpr Kind kStatefulSet{"apps", "v1", "StatefulSet", "statefulsets"};
inline constexpr Kind kService{"", "v1", "Service", "services"};
inline constexpr Kind kConfigMap{"", "v1", "ConfigMap", "configmaps"};
inline constexpr Kind kSecret{"", "v1", "Secret", "secrets"};
inline constexpr Kind kServiceAccount{"", "v1", "ServiceAccount", "serviceaccounts"};
inline constexpr Kind kPod{"", "v1", "Pod", "pods"};
inline constexpr Kind kNamespace{"", "v1", "Namespace", "namespaces", false};
inline constexpr Kind kNode{"", "v1", "Node", "nodes", false};
inline constexpr Kind kPodDisruptionBudget{"policy", "v1", "PodDisruptionBudget",
                                           "poddisruptionbudgets"};
inline constexpr Kind kNetworkPolicy{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"};
inline constexpr Kind kLease{"coordination.k8s.io", "v1", "Lease", "leases"};
inline constexpr Kind kEvent{"", "v1", "Event", "events"};

/// Looks a kind up by its name ("StatefulSet"); nullptr when it is none of the above.
const Kind* find_kind(std::string_view kind);

/// One object as last seen: what every loop asks about, and the rest as compact JSON text. A DOM
/// would take ten times the memory, so it is parsed when needed and never kept.
struct Object {
  const Kind* kind = nullptr;
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  bool deleting = false;  // has a deletionTimestamp
  std::string created;    // RFC 3339; the age that decides conflicts
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> finalizers;
  std::string json;  // without managedFields and last-applied-configuration

  /// "" when absent.
  std::string_view label(const std::string& name) const;
  std::string_view annotation(const std::string& name) const;
  bool has_finalizer(std::string_view name) const;
};
using ObjectPtr = std::shared_ptr<const Object>;

/// Parses one object. `kind`: null = from apiVersion/kind in the text (list items carry none).
/// Errors: kInvalidRequest.
broker::Result<ObjectPtr> parse_object(std::string_view json, const Kind* kind);

/// Whether every key of `labels` in `selector` ("a=b,c=d") has that value; "" matches all.
bool matches_selector(const std::map<std::string, std::string>& labels, std::string_view selector);

/// Compares two resource versions of one kind by age: Kubernetes has them as growing numbers. Text
/// that is no number counts as newer than anything.
bool is_newer(std::string_view resource_version, std::string_view than);

}  // namespace op::kube
