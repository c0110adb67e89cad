#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/common/time.h"
#include "operator/api/cluster.h"
#include "operator/api/json.h"
#include "operator/api/meta.h"
#include "operator/controllers/cluster_registry.h"
#include "operator/controllers/controller.h"
#include "operator/controllers/object_writer.h"
#include "operator/controllers/operations.h"
#include "operator/controllers/resource_index.h"
#include "operator/controllers/secret_memory.h"
#include "operator/plan/admission.h"
#include "operator/plan/types.h"
#include "operator/provider/infrastructure.h"
#include "operator/provider/resource_store.h"

namespace broker::metadata {
struct MetadataImage;
}

namespace op::controllers {

struct OperatorSettings {
  std::string ns = "millrace-system";             // the operator's own namespace
  std::map<std::string, std::string> pod_labels;  // of the operator's pods, for NetworkPolicies
  std::string default_image = "millrace/broker:1.0";
  /// Whether a misspelt field is an error: an API server has dropped it already, files have nobody.
  api::Unknown unknown_fields = api::Unknown::kIgnored;
  std::string time_zones = "/usr/share/zoneinfo";
  std::function<broker::WallMs()> wall_now;  // null: the system's clock
};

/// What all loops share; outlives them.
struct Context {
  provider::ResourceStore& store;
  provider::Infrastructure& infrastructure;
  ClusterRegistry& clusters;
  ResourceIndex& index;
  Operations& operations;
  ObjectWriter& writer;
  SecretMemory& secrets;
  const OperatorSettings& settings;
  /// Makes the loops look at these names again.
  std::function<void(const reconcile::WorkKey&)> enqueue;

  broker::WallMs wall_now() const;
  api::Timestamp timestamp() const;
};

/// The cluster that a Topic, User or ACL belongs to, as far as its loop needs it.
struct Target {
  /// Why nothing can be done now; nullopt: connected, `image` is current.
  std::optional<plan::Verdict> problem;
  bool gone = false;  // there is no such object, or it is being deleted
  /// An operator that has just started is not connected yet to a cluster that runs: what its
  /// predecessor said stands meanwhile.
  bool is_connecting = false;
  ClusterHandlePtr handle;
  std::shared_ptr<const broker::metadata::MetadataImage> image;
  std::string cluster_id;
  std::string acknowledged_cluster_id;
  std::optional<api::Cluster> cluster;  // of kind Cluster only
  std::string ns;
  std::vector<api::TenantSpec> tenants;
  std::set<std::string> super_users;

  /// For admission of something declared in `object_namespace`.
  plan::TenancyInput tenancy(const Context& context, const std::string& object_namespace) const;
};
Target gather_target(const Context& context, const api::ClusterRef& ref);

/// The Cluster with what this infrastructure changes about it. Errors: kInvalidRequest.
broker::Result<api::Cluster> read_cluster(const Context& context, const kube::Object& object);

/// Whether the namespace is going away: finalizers of ours must not hold it.
bool namespace_is_ending(const Context& context, const std::string& ns);

/// What a broker's answer means for the user.
plan::Verdict verdict_of(const kafka::ItemResult& refusal);

/// For an object whose spec cannot be read at all: Ready=False, Invalid. Writes only if that is not
/// what stands there.
Outcome report_unreadable(const Context& context, const kube::Object& object,
                          const std::string& message);

}  // namespace op::controllers
