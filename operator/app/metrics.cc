#include "operator/app/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>

namespace op::app {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void add(MetricFamily& family, double value, const std::string& kind = {}) {
  ClientMetric metric;
  if (!kind.empty()) metric.label.push_back({"kind", kind});
  if (family.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
}

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily out;
  out.name = name;
  out.help = help;
  out.type = type;
  return out;
}

double resident_bytes() {
  std::ifstream in("/proc/self/statm");
  double total = 0;
  double resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::string metrics_text(controllers::Operator& op, bool leader) {
  MetricFamily reconciles =
      family("millrace_operator_reconciles_total", "Reconciles by kind", MetricType::Counter);
  MetricFamily failures = family("millrace_operator_reconcile_failures_total",
                                 "Reconciles that will be tried again", MetricType::Counter);
  MetricFamily seconds = family("millrace_operator_reconcile_seconds_total",
                                "Time spent in reconciles", MetricType::Counter);
  for (const auto& [kind, counters] : op.runner().counters()) {
    add(reconciles, static_cast<double>(counters->reconciles.load()), kind);
    add(failures, static_cast<double>(counters->failures.load()), kind);
    add(seconds, static_cast<double>(counters->busy_microseconds.load()) / 1e6, kind);
  }
  MetricFamily depth =
      family("millrace_operator_queue_depth", "Names waiting or in work", MetricType::Gauge);
  add(depth, static_cast<double>(op.runner().depth()));
  MetricFamily leads =
      family("millrace_operator_leader", "1 while this replica acts", MetricType::Gauge);
  add(leads, leader ? 1 : 0);
  MetricFamily memory =
      family("process_resident_memory_bytes", "Resident memory of this process", MetricType::Gauge);
  add(memory, resident_bytes());
  return prometheus::TextSerializer().Serialize(
      {reconciles, failures, seconds, depth, leads, memory});
}

}  // namespace op::app
