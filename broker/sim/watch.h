#pragma once

#include <compare>
#include <map>
#include <utility>

#include "broker/sim/cluster.h"
#include "broker/sim/history.h"

namespace broker::sim {

/// Looks into the nodes while they run: whatever they know of the cluster, they must agree about
/// what was decided. A partition has one state per partition epoch and one leader per leader epoch,
/// and the metadata log replayed up to the same offset gives the same image everywhere.
class Watch {
 public:
  Watch(Cluster& cluster, History& history) : cluster_(cluster), history_(history) {}
  /// Between two events, often.
  void look();

 private:
  struct Decision {
    TopicId topic;
    std::int32_t partition;
    std::int32_t epoch;

    auto operator<=>(const Decision&) const = default;
  };
  void look_at(const SimNode& node, const metadata::MetadataImage& image);
  void compare(const metadata::MetadataImage& a, const metadata::MetadataImage& b);

  Cluster& cluster_;
  History& history_;
  std::map<int, metadata::ImagePtr> seen_;  // by node, at the last look
  std::map<Decision, metadata::PartitionRegistration> by_partition_epoch_;
  std::map<Decision, BrokerId> leaders_;
};

}  // namespace broker::sim
