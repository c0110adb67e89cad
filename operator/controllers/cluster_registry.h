#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "operator/api/meta.h"
#include "operator/controllers/admin_batcher.h"
#include "operator/kafka/cluster_view.h"

namespace op::controllers {

/// One Kafka cluster as the loops use it.
class ClusterHandle {
 public:
  ClusterHandle(kafka::ConnectionSpec spec, std::unique_ptr<kafka::ClusterConnection> connection,
                reconcile::Scheduler& scheduler, BatchOptions options,
                std::function<bool()> may_write);

  const kafka::ConnectionSpec& spec() const { return spec_; }
  kafka::ClusterView& view() { return connection_->view(); }
  AdminBatcher& admin() { return batcher_; }
  /// Too young to say that the cluster cannot be reached.
  bool is_connecting() const { return std::chrono::steady_clock::now() - opened_at_ < kPatience; }

 private:
  static constexpr std::chrono::seconds kPatience{5};

  const broker::Instant opened_at_ = std::chrono::steady_clock::now();
  const kafka::ConnectionSpec spec_;
  const std::unique_ptr<kafka::ClusterConnection> connection_;
  AdminBatcher batcher_;  // before the connection goes
};
using ClusterHandlePtr = std::shared_ptr<ClusterHandle>;

/// The connections to all clusters. The Cluster and ExternalCluster loops open and close them, the
/// others use them. Thread-safe.
class ClusterRegistry {
 public:
  using OnChange = std::function<void(const api::ClusterRef&, const kafka::Changes&)>;

  ClusterRegistry(kafka::Connector& connector, reconcile::Scheduler& scheduler,
                  BatchOptions options, std::function<bool()> may_write, OnChange on_change);

  /// Connects, or reconnects when the spec changed; an equal spec changes nothing.
  broker::Result<ClusterHandlePtr> open(const api::ClusterRef& cluster,
                                        const kafka::ConnectionSpec& spec);
  void close(const api::ClusterRef& cluster);
  void close_all();
  /// Null when it is not open.
  ClusterHandlePtr find(const api::ClusterRef& cluster) const;

 private:
  kafka::Connector& connector_;
  reconcile::Scheduler& scheduler_;
  const BatchOptions options_;
  const std::function<bool()> may_write_;
  const OnChange on_change_;
  mutable std::mutex mutex_;
  std::map<api::ClusterRef, ClusterHandlePtr> clusters_;
};

}  // namespace op::controllers
