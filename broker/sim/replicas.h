#pragma once

#include "broker/sim/cluster.h"
#include "broker/sim/history.h"

namespace broker::sim {

/// Looks at what is on the disks: every replica of the topic that has an offset that was read has
/// the record that was read, and the metadata logs agree batch for batch. At a quiet moment.
void check_replicas(Cluster& cluster, const std::string& topic, int partitions, History& history);

}  // namespace broker::sim
