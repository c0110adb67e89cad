#pragma once

#include <functional>
#include <memory>
#include <string>

#include "broker/common/result.h"
#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/http_server.h"
#include "broker/io/transport.h"
#include "operator/app/options.h"
#include "operator/kafka/cluster_view.h"
#include "operator/reconcile/delayed_tasks.h"

namespace op::app {

/// Before the first thread: SIGTERM and SIGINT are waited for by main alone, and the allocator is
/// told that this is a small process.
void prepare_process(const Options& options);
/// Blocks until SIGTERM or SIGINT.
void wait_for_stop_signal();
/// True once a stop signal came, without taking it away from wait_for_stop_signal().
bool stop_requested();

/// What both ways to run have in common: the loop on which the Kafka connections live.
class KafkaRuntime {
 public:
  explicit KafkaRuntime(const Options& options);
  ~KafkaRuntime();  // after all connections are gone
  kafka::Connector& connector() { return *connector_; }
  reconcile::Scheduler& scheduler() { return scheduler_; }

 private:
  broker::io::posix::EventLoop loop_{"kafka"};
  std::unique_ptr<broker::io::Transport> transport_;
  std::unique_ptr<kafka::Connector> connector_;
  reconcile::DelayedTasks scheduler_;
};

/// /livez always, /readyz when `ready`, /metrics. Null when the options want none.
broker::Result<std::unique_ptr<broker::io::posix::HttpServer>> start_http(
    const Options& options, std::function<bool()> ready, std::function<std::string()> metrics);

/// Prints "millrace-operator: <what>" to standard error and returns the exit code 1.
int fail(const std::string& what);

int run_in_cluster(const Options& options);
int run_standalone(const Options& options);
int strip_finalizers(const Options& options);

}  // namespace op::app
