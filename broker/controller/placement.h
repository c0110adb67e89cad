#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/metadata/cluster_image.h"

namespace broker::controller {

/// Chooses brokers for new partitions: first replicas go round all active brokers, the others to as
/// many racks as there are, brokers that cannot lead now only behind those that can. Starts at a
/// random place, so that many small topics spread too. One placer per topic.
class ReplicaPlacer {
 public:
  ReplicaPlacer(const metadata::ClusterImage& cluster, Rng& rng);

  /// The replicas of the next partition. Errors: kInvalidReplicationFactor, with Kafka's sentence.
  Result<std::vector<BrokerId>> place(std::int16_t replication_factor);

 private:
  struct Candidate {
    BrokerId id;
    bool active = false;
  };
  struct Rack {
    std::vector<Candidate> brokers;
  };
  /// The brokers of all racks in turns: r0b0 r1b0 r0b1 r1b1, so that neighbours are in other racks.
  std::vector<std::pair<std::size_t, Candidate>> ring_;
  std::size_t rack_count_ = 0;
  std::size_t active_count_ = 0;
  std::size_t next_leader_ = 0;  // position in ring_
  std::size_t placed_ = 0;
};

/// Where the chosen brokers will keep the partition: their only directory, or unassigned until the
/// broker says.
std::vector<DirectoryId> directories_for(const metadata::ClusterImage& cluster,
                                         const std::vector<BrokerId>& replicas);

}  // namespace broker::controller
