#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "broker/metadata/image.h"
#include "operator/plan/replica_moves.h"

namespace op::plan {

/// Bytes of one replica of each partition: topic -> by partition number. What is missing is empty.
using PartitionBytes = std::map<std::string, std::vector<std::int64_t>>;
std::int64_t bytes_of(const PartitionBytes& bytes, const std::string& topic, std::int32_t index);

/// Where replicas are, where they could be, and how evenly. Each `even_…` goes one step nearer to
/// its goal until nothing helps; none puts replicas of a partition into fewer racks than it found
/// them in, and none touches what is being moved already. Brokers are numbers here and partitions
/// lie in one array: two hundred brokers and fifty thousand partitions take a second, not a minute.
/// Deterministic: the same image gives the same moves.
class Balancer {
 public:
  static constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
  /// How far from the mean a broker's bytes may be, in hundredths, before anything is copied.
  static constexpr std::int64_t kDiskBand = 5;

  struct Broker {
    std::int32_t id = 0;
    std::string rack_name;
    std::uint32_t rack = 0;
    bool takes = false;  // replicas may be placed on it
    std::int64_t replicas = 0;
    std::int64_t preferred = 0;  // of them, those that lead if they can
    std::int64_t bytes = 0;
  };
  struct Change {
    Move move;
    std::size_t copies = 0;  // replicas that have to be copied to where they were not
    std::int64_t bytes = 0;  // of these copies
  };

  /// Nothing is placed on `avoid`, nor on brokers that are fenced, cordoned or shutting down.
  Balancer(const broker::metadata::MetadataImage& image, const std::set<std::int32_t>& avoid,
           const PartitionBytes& bytes = {});

  /// Replicas of a partition into as many racks as there are, and evenly over them.
  void even_racks();
  /// All brokers within one replica of each other. Of the partitions that could go, one whose topic
  /// is spread more evenly by it, then one that evens the leaders too, then the one that suits the
  /// disks best. At most `limit` partitions; `once`: of each partition no more than one replica.
  void even_replicas(std::size_t limit = kNoLimit, bool once = false);
  /// All brokers within one preferred leader of each other, by the order of replicas alone: nothing
  /// is copied.
  void even_leaders();
  /// Bytes within kDiskBand of the mean. `keep_counts`: without undoing what even_replicas did.
  void even_disk(bool keep_counts);
  /// From now on even_replicas() does not push a broker out of the band of bytes.
  void guard_disk() { guards_disk_ = true; }

  /// How many replicas lie where an even spread would not have them, racks left aside.
  std::int64_t surplus() const;
  /// What is to be asked of Kafka for it, in the order of the decisions.
  std::vector<Change> changes() const;
  const std::vector<Broker>& brokers() const { return brokers_; }

 private:
  using Node = std::uint16_t;
  using Place = std::uint32_t;  // a partition
  struct Partition {
    std::uint32_t topic = 0;
    std::int32_t index = 0;
    std::uint32_t first = 0;  // of its replicas in slots_
    std::uint16_t count = 0;
    bool frozen = false;  // moved by somebody, or once already
    std::int64_t bytes = 0;
  };
  /// A replica that may go, heaviest reason first.
  struct Shift {
    int evens_topic = 0;
    bool evens_leaders = false;
    std::int64_t suits_disks = 0;
    Place place = 0;
    std::size_t at = 0;  // of the partition's replicas

    bool operator>(const Shift& other) const {
      return std::tie(evens_topic, evens_leaders, suits_disks) >
             std::tie(other.evens_topic, other.evens_leaders, other.suits_disks);
    }
  };
  struct Swap;

  void add_brokers(const broker::metadata::MetadataImage& image,
                   const std::set<std::int32_t>& avoid);
  void add_partitions(const broker::metadata::MetadataImage& image, const PartitionBytes& bytes);
  Node* slots(Place place) { return &slots_[partitions_[place].first]; }
  const Node* slots(Place place) const { return &slots_[partitions_[place].first]; }
  std::uint16_t& of_topic(Place place, Node node) {
    return of_topic_[std::size_t{partitions_[place].topic} * brokers_.size() + node];
  }
  /// Position of the node among the replicas; count when it has none.
  std::size_t position(Place place, Node node) const;
  std::size_t in_rack(Place place, std::uint32_t rack) const;
  /// The node may have that replica, and the racks of the partition are no worse for it.
  bool fits(Place place, std::size_t at, Node to) const;
  void put(Place place, std::size_t at, Node to);
  void touch(Place place);
  std::int64_t mean_bytes() const;  // of brokers that take replicas
  std::int64_t band() const;
  bool disk_allows(Place place, Node from, Node to) const;

  bool even_rack_of(Place place);
  std::vector<Shift> shifts(Node from, Node to, std::size_t limit);
  bool shift_replicas(Node from, Node to, std::size_t limit, bool once);
  std::size_t together(Node from, Node to, std::size_t limit) const;
  bool shift_leader(Node from);
  void lead_along(Node from, Node to, const std::vector<Place>& by);
  bool relieve(Node full, bool keep_counts);
  bool counts_allow(Node from, Node to) const;
  void consider(Node full, Node lean, Place down, bool keep_counts, Swap& best) const;
  std::vector<Node> by_replicas() const;

  std::vector<Broker> brokers_;
  std::map<std::int32_t, Node> node_of_;
  std::vector<std::string> topics_;
  std::vector<Partition> partitions_;
  std::vector<Node> slots_;
  std::vector<Node> slots_before_;
  std::vector<std::uint16_t> of_topic_;                               // topic x broker: replicas
  std::vector<std::vector<Place>> on_;                                // by broker
  std::vector<std::vector<std::pair<std::int64_t, Place>>> by_size_;  // by broker, while even_disk
  std::vector<Place> touched_;  // in the order of the first change
  std::vector<bool> is_touched_;
  bool guards_disk_ = false;
  std::int64_t taking_bytes_ = 0;  // on brokers that take replicas
  std::int64_t taking_ = 0;        // such brokers
  std::int64_t replicas_ = 0;      // on them
};

}  // namespace op::plan
