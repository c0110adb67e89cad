#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/common/time.h"
#include "operator/api/cluster.h"
#include "operator/controllers/cluster_registry.h"
#include "operator/controllers/operator.h"
#include "operator/kafka/offsets.h"

namespace op::controllers {

/// What the operator knows about everything that it looks after, at one moment. docs/metrics.md has
/// the names under which it is shown.
struct OperatorMetrics {
  struct ResourceState {
    std::string kind;
    std::string ns;
    std::string ready;   // "True", "False", "Unknown"
    std::string reason;  // of the condition Ready; "" before there is one

    auto operator<=>(const ResourceState&) const = default;
  };
  struct Certificate {
    std::string ns;
    std::string cluster;
    std::string type;  // "cluster-ca", "users-ca", "broker", "operator", "user"
    std::string name;  // of the pod or Secret; of users' the one that ends first
    broker::WallMs not_after = 0;
  };
  struct Cluster {
    api::ClusterRef ref;
    bool connected = false;
    std::string cluster_id;
    // Of kind Cluster only, from its status.
    std::string version;
    std::int32_t brokers = 0;
    std::int32_t ready_brokers = 0;
    std::map<std::string, bool> conditions;
    std::int32_t roll_total = 0;  // 0: nothing is restarted
    std::int32_t roll_done = 0;
    std::int64_t scale_total = 0;
    std::int64_t scale_moved = 0;
    // Null while unknown.
    std::shared_ptr<const broker::metadata::MetadataImage> image;
    std::shared_ptr<const kafka::OffsetsSnapshot> offsets;
  };

  std::map<ResourceState, std::int64_t> resources;
  std::vector<Certificate> certificates;
  std::vector<Cluster> clusters;
};

/// Gathers them. An object is read again only after it changed: a scrape of 20,000 resources costs
/// a walk over their addresses. Thread-safe.
class MetricsCollector {
 public:
  MetricsCollector(provider::ResourceStore& store, ClusterRegistry& clusters)
      : store_(store), clusters_(clusters) {}

  /// Also says that the offsets of all clusters are wanted from now on.
  OperatorMetrics collect();

 private:
  /// What was read from an object, for as long as it is the same one.
  template <class T>
  class PerObject {
   public:
    template <class Read>
    const T& of(const kube::ObjectPtr& object, Read read) {
      if (auto known = before_.extract(object); !known.empty())
        return now_.insert(std::move(known)).position->second;
      const auto found = now_.find(object);
      return found != now_.end() ? found->second
                                 : now_.emplace(object, read(*object)).first->second;
    }
    /// Forgets what was not asked for since the last call.
    void turn() { before_ = std::exchange(now_, {}); }

   private:
    std::unordered_map<kube::ObjectPtr, T> before_;
    std::unordered_map<kube::ObjectPtr, T> now_;
  };
  struct ReadyState {
    std::string ready;
    std::string reason;
  };

  void count_resources(OperatorMetrics& out);
  void add_cluster(OperatorMetrics& out, const api::Cluster& cluster);
  void add_users(OperatorMetrics& out);
  /// When the first certificate in this value of a Secret ends, by name of the value; 0: there is
  /// none.
  broker::WallMs end_of(const kube::ObjectPtr& secret, const std::string& value);

  provider::ResourceStore& store_;
  ClusterRegistry& clusters_;
  std::mutex mutex_;
  PerObject<ReadyState> states_;
  PerObject<std::shared_ptr<const api::Cluster>> parsed_;
  PerObject<std::map<std::string, broker::WallMs>> ends_;
};

}  // namespace op::controllers
