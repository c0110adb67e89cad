#pragma once

#include "operator/app/series.h"
#include "operator/controllers/metrics.h"

namespace op::app {

/// Topics, partitions and consumer groups of one cluster under the names of kafka_exporter, with
/// the cluster's labels. Above this many the series per partition (of logs, of groups) are left
/// out and the sums stay: a scrape must stay small.
inline constexpr std::size_t kMaxPartitionSeries = 5000;
void add_offsets(Series& out, const controllers::OperatorMetrics::Cluster& cluster);

}  // namespace op::app
