#include "operator/app/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "broker/common/version.h"
#include "operator/app/offset_series.h"
#include "operator/app/series.h"

namespace op::app {
namespace {

using controllers::OperatorMetrics;

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  double total = 0;
  double resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds(std::uint64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

void add_loops(Series& out, const controllers::Runner& runner) {
  for (const auto& [kind, counters] : runner.counters()) {
    const Labels labels{{"kind", kind}};
    out.counter("millrace_operator_reconciles_total", "Reconciles by kind",
                static_cast<double>(counters->reconciles.load()), labels);
    out.counter("millrace_operator_reconcile_failures_total", "Reconciles that will be tried again",
                static_cast<double>(counters->failures.load()), labels);
    out.counter("millrace_operator_reconcile_seconds_total", "Time spent in reconciles",
                seconds(counters->busy_microseconds.load()), labels);
    Histogram histogram;
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < counters->took.size(); ++i) {
      count += counters->took[i].load();
      const double bound =
          i < controllers::Runner::kBuckets.size()
              ? seconds(static_cast<std::uint64_t>(controllers::Runner::kBuckets[i].count()))
              : std::numeric_limits<double>::infinity();
      histogram.buckets.push_back({count, bound});
    }
    histogram.sum = seconds(counters->busy_microseconds.load());
    out.histogram("millrace_operator_reconcile_duration_seconds", "How long reconciles take",
                  histogram, labels);
  }
  out.gauge("millrace_operator_queue_depth", "Names waiting or in work",
            static_cast<double>(runner.depth()));
}

void add_resources(Series& out, const OperatorMetrics& metrics) {
  for (const auto& [state, count] : metrics.resources)
    out.gauge("millrace_resources", "Resources by their condition Ready",
              static_cast<double>(count),
              {{"kind", state.kind},
               {"namespace", state.ns},
               {"ready", state.ready},
               {"reason", state.reason}});
  for (const auto& certificate : metrics.certificates)
    out.gauge("millrace_certificate_expiration_timestamp_seconds", "When a certificate ends",
              static_cast<double>(certificate.not_after) / 1000,
              {{"namespace", certificate.ns},
               {"kafka_cluster", certificate.cluster},
               {"type", certificate.type},
               {"name", certificate.name}});
}

void add_clusters(Series& out, const OperatorMetrics& metrics) {
  for (const auto& cluster : metrics.clusters) {
    const Labels labels = labels_of(cluster.ref);
    const bool own = cluster.ref.kind == api::ClusterKind::kCluster;
    out.gauge("millrace_cluster_info", "1", 1,
              with(labels, {{"kind", own ? "Cluster" : "ExternalCluster"},
                            {"cluster_id", cluster.cluster_id},
                            {"version", cluster.version}}));
    out.gauge("millrace_cluster_connected", "1 while the operator follows its metadata",
              cluster.connected ? 1 : 0, labels);
    if (!own) continue;
    for (const auto& [type, is_true] : cluster.conditions)
      out.gauge("millrace_cluster_condition", "1 while the condition is True", is_true ? 1 : 0,
                with(labels, {{"condition", type}}));
    const auto number = [&](const char* name, const char* help, const char* label,
                            const char* value, auto n) {
      out.gauge(name, help, static_cast<double>(n), with(labels, {{label, value}}));
    };
    constexpr const char* kBrokers = "millrace_cluster_brokers";
    number(kBrokers, "Brokers as declared and as ready", "state", "declared", cluster.brokers);
    number(kBrokers, "", "state", "ready", cluster.ready_brokers);
    constexpr const char* kRoll = "millrace_cluster_roll_nodes";
    number(kRoll, "Nodes of the restart under way; 0: none", "state", "total", cluster.roll_total);
    number(kRoll, "", "state", "done", cluster.roll_done);
    constexpr const char* kScale = "millrace_cluster_scale_partitions";
    number(kScale, "Partitions that move because nodes come or go", "state", "total",
           cluster.scale_total);
    number(kScale, "", "state", "moved", cluster.scale_moved);
  }
}

}  // namespace

std::string metrics_text(controllers::Operator& op, controllers::MetricsCollector& collector,
                         bool leader) {
  Series out;
  out.gauge("millrace_operator_info", "1", 1, {{"version", broker::kVersion}});
  out.gauge("millrace_operator_leader", "1 while this replica acts", leader ? 1 : 0);
  add_loops(out, op.runner());
  // The others see the same resources; counted once they are counted right.
  if (leader) {
    const OperatorMetrics metrics = collector.collect();
    add_resources(out, metrics);
    add_clusters(out, metrics);
    for (const auto& cluster : metrics.clusters) add_offsets(out, cluster);
  }
  out.gauge("process_resident_memory_bytes", "Resident memory of this process", resident_bytes());
  out.counter("process_cpu_seconds_total", "CPU time, user and system", cpu_seconds());
  return out.text();
}

}  // namespace op::app
