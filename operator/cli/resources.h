#pragma once

#include <memory>
#include <string>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/api/user.h"
#include "operator/cli/options.h"
#include "operator/kube/object.h"

namespace op::cli {

/// Where resources live: an API server, or the data directory of a standalone operator. Errors of
/// all calls name verb and resource: kResourceNotFound, kClusterAuthorizationFailed,
/// kNetworkException when the API server does not answer.
class Resources {
 public:
  virtual ~Resources() = default;
  virtual broker::Result<kube::ObjectPtr> get(const kube::Kind& kind,
                                              const kube::ObjectKey& key) = 0;
  /// Of one namespace, "" for all; sorted by name.
  virtual broker::Result<std::vector<kube::ObjectPtr>> list(const kube::Kind& kind,
                                                            const std::string& ns) = 0;
  /// Errors also: kUnsupportedVersion, with what to do instead, where resources are files that
  /// their owner edits.
  virtual broker::Result<void> annotate(const kube::Kind& kind, const kube::ObjectKey& key,
                                        const std::string& name, const std::string& value) = 0;
  /// Where names are looked for that nobody gave a namespace; "" = everywhere.
  virtual std::string default_namespace() const = 0;
  /// Whether every listener is reachable from here: in a pod, or where all of it is this machine.
  virtual bool is_inside() const = 0;
};

/// Errors: kInvalidConfig when there is nothing to open, with all that was looked for.
broker::Result<std::unique_ptr<Resources>> open_resources(const Target& target);
/// What was kept in a standalone operator's data directory. Errors: kResourceNotFound.
broker::Result<std::unique_ptr<Resources>> open_data_directory(const std::string& data);

/// The Clusters that the target may mean, by --namespace and --cluster. Errors: kResourceNotFound
/// with a hint where some are.
broker::Result<std::vector<api::Cluster>> find_clusters(Resources& resources, const Target& target);
/// The only one. Errors also: kInvalidConfig naming the choices.
broker::Result<api::Cluster> find_cluster(Resources& resources, const Target& target);

/// The Users of a cluster, wherever they are declared as far as it may be seen from here.
broker::Result<std::vector<api::User>> users_of(Resources& resources, const api::Cluster& cluster,
                                                const Target& target);

}  // namespace op::cli
