#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "operator/controllers/context.h"
#include "operator/controllers/runner.h"
#include "operator/kafka/cluster_view.h"
#include "operator/reconcile/delayed_tasks.h"

namespace op::controllers {

/// The whole operator from its ports: the loops, and who is told of which change. Built before the
/// store starts; start() and stop() follow leadership.
class Operator {
 public:
  struct Ports {
    provider::ResourceStore& store;
    provider::Infrastructure& infrastructure;
    kafka::Connector& connector;
    reconcile::Scheduler& scheduler;
    /// Asked before Kafka is written to.
    std::function<bool()> may_write = [] { return true; };
  };
  Operator(Ports ports, OperatorSettings settings, RunnerOptions options = {},
           BatchOptions batches = {});
  ~Operator();

  void start();
  void stop();
  Runner& runner() { return runner_; }
  ClusterRegistry& clusters() { return clusters_; }

 private:
  void watch_children();
  void watch_dependants();
  void on_kafka_change(const api::ClusterRef& cluster, const kafka::Changes& changes);

  provider::ResourceStore& store_;
  const OperatorSettings settings_;
  ResourceIndex index_;
  Runner runner_;
  ClusterRegistry clusters_;
  Operations operations_;
  ObjectWriter writer_;
  SecretMemory secrets_;
  Context context_;
  std::vector<std::unique_ptr<Controller>> controllers_;
};

/// Kinds that a store must watch for the loops, with the labels of those that are ours.
struct WatchedChild {
  const kube::Kind* kind;
  std::string selector;
};
std::vector<WatchedChild> watched_kinds();

}  // namespace op::controllers
