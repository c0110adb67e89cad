#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace op::api {

inline constexpr std::string_view kGroup = "millrace.io";
inline constexpr std::string_view kApiVersion = "millrace.io/v1beta1";

/// Annotations of ours on the user's resources.
inline constexpr std::string_view kPausedAnnotation = "millrace.io/paused";
/// Set by the user to the cluster id now in place: an emptied or replaced cluster may be filled
/// again.
inline constexpr std::string_view kAcknowledgeAnnotation = "millrace.io/acknowledge-cluster-id";
/// Topic, User and Acl with something to remove in Kafka carry it until that is done.
inline constexpr std::string_view kFinalizer = "millrace.io/kafka";

/// Kubernetes timestamps stay in their text form (RFC 3339, UTC, whole seconds): they compare as
/// text.
using Timestamp = std::string;
/// A fragment of a Kubernetes API that is only passed on (affinity, sidecars …): compact JSON text.
using RawJson = std::string;

struct ObjectName {
  std::string namespace_;
  std::string name;

  auto operator<=>(const ObjectName&) const = default;
};

/// "namespace/name", as messages and logs show it.
std::string to_string(const ObjectName& name);

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;

  bool operator==(const OwnerReference&) const = default;
};

struct ObjectMeta {
  std::string name;
  std::string namespace_;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> finalizers;
  std::vector<OwnerReference> owner_references;
  Timestamp creation_timestamp;
  std::optional<Timestamp> deletion_timestamp;  // set: the object is going away

  bool operator==(const ObjectMeta&) const = default;
  ObjectName object_name() const { return {namespace_, name}; }
  bool is_deleting() const { return deletion_timestamp.has_value(); }
  bool is_paused() const;
  bool has_finalizer(std::string_view finalizer) const;
  const std::string* annotation(std::string_view key) const;
};

enum class ConditionStatus { kFalse, kTrue, kUnknown };

struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason;  // CamelCase, from reason:: below
  std::string message;
  std::int64_t observed_generation = 0;
  Timestamp last_transition_time;

  bool operator==(const Condition&) const = default;
};

namespace condition {
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kReconciling = "Reconciling";
inline constexpr std::string_view kStalled = "Stalled";
inline constexpr std::string_view kDegraded = "Degraded";
}  // namespace condition

/// Every reason that a condition or an Event of ours can carry. Users match on them: they are
/// never renamed.
namespace reason {
// good
inline constexpr std::string_view kReady = "Ready";
inline constexpr std::string_view kAsExpected = "AsExpected";
inline constexpr std::string_view kPaused = "Paused";
inline constexpr std::string_view kDeleting = "Deleting";
inline constexpr std::string_view kBalanced = "Balanced";
inline constexpr std::string_view kCancelled = "Cancelled";
// what the user wrote cannot be done
inline constexpr std::string_view kInvalid = "Invalid";
inline constexpr std::string_view kNotSupportedYet = "NotSupportedYet";
inline constexpr std::string_view kNotAdmitted = "NotAdmitted";
inline constexpr std::string_view kConflict = "Conflict";
inline constexpr std::string_view kPartitionsCannotShrink = "PartitionsCannotShrink";
// what is referred to is not there
inline constexpr std::string_view kClusterNotFound = "ClusterNotFound";
inline constexpr std::string_view kClusterNotReady = "ClusterNotReady";
inline constexpr std::string_view kUserNotFound = "UserNotFound";
inline constexpr std::string_view kSecretNotFound = "SecretNotFound";
inline constexpr std::string_view kSecretInvalid = "SecretInvalid";
inline constexpr std::string_view kSecretConflict = "SecretConflict";
// the world is not what it was
inline constexpr std::string_view kDeletedOutside = "DeletedOutside";
inline constexpr std::string_view kClusterIdChanged = "ClusterIdChanged";
// on the way
inline constexpr std::string_view kBrokersNotReady = "BrokersNotReady";
inline constexpr std::string_view kPodUnschedulable = "PodUnschedulable";
inline constexpr std::string_view kPodFailing = "PodFailing";
inline constexpr std::string_view kApplying = "Applying";
inline constexpr std::string_view kUnreachable = "Unreachable";
inline constexpr std::string_view kRejectedByBroker = "RejectedByBroker";
inline constexpr std::string_view kRestartRequired = "RestartRequired";
inline constexpr std::string_view kUnderReplicated = "UnderReplicated";
inline constexpr std::string_view kVoterLost = "VoterLost";
inline constexpr std::string_view kScaling = "Scaling";
inline constexpr std::string_view kReplicasDoNotFit = "ReplicasDoNotFit";
inline constexpr std::string_view kUnsafeTopics = "UnsafeTopics";
inline constexpr std::string_view kMaintenanceWindow = "MaintenanceWindow";
inline constexpr std::string_view kAwaitingApproval = "AwaitingApproval";
inline constexpr std::string_view kPlanning = "Planning";
inline constexpr std::string_view kMoving = "Moving";
inline constexpr std::string_view kNoMatchingListener = "NoMatchingListener";
// certificates
inline constexpr std::string_view kCertificateMissing = "CertificateMissing";
inline constexpr std::string_view kCertificateExpiring = "CertificateExpiring";
inline constexpr std::string_view kCertificateNamesChanged = "CertificateNamesChanged";
inline constexpr std::string_view kCaMissing = "CaMissing";
inline constexpr std::string_view kCaChanged = "CaChanged";
inline constexpr std::string_view kCaExpiring = "CaExpiring";
inline constexpr std::string_view kCaRenewalAsked = "CaRenewalAsked";
inline constexpr std::string_view kCaRotating = "CaRotating";
inline constexpr std::string_view kCaRotated = "CaRotated";
}  // namespace reason

/// Writes `wanted` into the list, keyed by type. The transition time moves to `now` only when the
/// status changes; equal input leaves the list equal, so an idle resync writes nothing.
void set_condition(std::vector<Condition>& conditions, Condition wanted, const Timestamp& now);
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);

/// Where a Topic, User, Acl or Rebalance belongs.
enum class ClusterKind { kCluster, kExternalCluster };

struct ClusterRef {
  ClusterKind kind = ClusterKind::kCluster;
  ObjectName object;  // the namespace defaults to the referring object's own

  auto operator<=>(const ClusterRef&) const = default;
};

/// One key of a Secret or ConfigMap in the referring object's namespace.
struct KeyRef {
  std::string name;
  std::string key;

  auto operator<=>(const KeyRef&) const = default;
};

/// Kubernetes' label selector. Empty selects everything.
struct LabelSelector {
  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values;

    bool operator==(const Requirement&) const = default;
  };
  std::map<std::string, std::string> match_labels;
  std::vector<Requirement> match_expressions;

  bool operator==(const LabelSelector&) const = default;
  bool matches(const std::map<std::string, std::string>& labels) const;
};

}  // namespace op::api
