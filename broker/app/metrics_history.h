#pragma once

#include <deque>
#include <map>
#include <string>

#include "broker/common/time.h"
#include "broker/server/metrics.h"

namespace broker::app {

/// Counters as they were at an earlier scrape: Kafka's gauges speak of the last half minute (rates,
/// idleness) or the last minutes (quantiles), not of the whole life of a process.
struct MetricsSample {
  Instant at{};
  std::map<std::string, server::RequestTimes::Counts> requests;  // by Kafka's name of the request
  double loop_cpu_seconds = 0;                                   // of all event loops
  std::int64_t metadata_log_end = 0;
  bool leads_quorum = false;
  std::int64_t commits = 0;
  double commit_seconds = 0;
};

/// The samples of the last minutes, a few of them. On one thread.
class MetricsHistory {
 public:
  static constexpr Duration kSpacing = std::chrono::seconds(15);
  static constexpr Duration kDepth = std::chrono::minutes(5);

  /// `first`: what counts as before everything, with all counters at zero.
  explicit MetricsHistory(Instant first) { samples_.push_back({first, {}}); }

  void add(MetricsSample sample) {
    if (sample.at - samples_.back().at >= kSpacing) samples_.push_back(std::move(sample));
    // One that is older stays: the whole depth is covered.
    while (samples_.size() > 2 && samples_[1].at + kDepth <= samples_.back().at)
      samples_.pop_front();
  }
  /// The newest one that is at least so old, else the oldest.
  const MetricsSample& before(Instant now, Duration age) const {
    for (auto it = samples_.rbegin(); it != samples_.rend(); ++it)
      if (now - it->at >= age) return *it;
    return samples_.front();
  }

 private:
  std::deque<MetricsSample> samples_;
};

/// The value below which this part (0..1) of what was counted lies, in milliseconds; within a cell
/// as if evenly spread. 0 when nothing was counted.
double quantile_ms(const server::RequestTimes::Counts& counts, double part);

}  // namespace broker::app
