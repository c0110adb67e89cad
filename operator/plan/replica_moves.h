#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/metadata/image.h"

namespace op::plan {

/// Replicas that a partition is to have, the preferred leader first (AlterPartitionReassignments,
/// KIP-455); nullopt takes back what is under way.
struct Move {
  std::string topic;
  std::int32_t partition = 0;
  std::optional<std::vector<std::int32_t>> replicas;

  bool operator==(const Move&) const = default;
};

/// As the numbers that resources and plans have.
std::vector<std::int32_t> ids_of(const std::vector<broker::BrokerId>& brokers);
/// What the partition has when the reassignment that is under way is done, or what it has.
std::vector<std::int32_t> target_replicas(const broker::metadata::PartitionRegistration& partition);
bool is_moving(const broker::metadata::PartitionRegistration& partition);
/// Alive, staying and not cordoned.
bool takes_replicas(const broker::metadata::BrokerRegistration& broker);

/// Where replicas are and may go. Counts what is under way as done, and every move that it plans,
/// so that moves of one round do not all choose the same broker. Deterministic: the same image
/// gives the same moves.
class ReplicaMover {
 public:
  /// Nothing is placed on `avoid`, nor on brokers that are fenced or cordoned.
  ReplicaMover(const broker::metadata::MetadataImage& image, std::set<std::int32_t> avoid);

  /// Brokers that can take replicas.
  std::size_t candidates() const { return loads_.size(); }

  /// Everything off `leaving`, at most `limit` partitions. A replica goes to the candidate that
  /// keeps most racks apart, then to the one that holds least. Partitions that have more replicas
  /// than there are candidates are left where they are.
  std::vector<Move> drain(const std::set<std::int32_t>& leaving, std::size_t limit);

  /// Takes replicas from those that hold most to those that hold least until all are within one of
  /// each other, or nothing can go without giving up a rack (balance.h). One replica per partition
  /// at a time. Of the image, without what drain() and resize() have planned.
  std::vector<Move> spread(std::size_t limit);
  /// How many replicas lie where an even spread would not have them, racks left aside.
  std::int64_t surplus() const;

  /// Partitions of one topic to `factor` replicas; those that are moved already are left alone.
  std::vector<Move> resize(const broker::metadata::TopicImage& topic, std::size_t factor,
                           std::size_t limit);

 private:
  struct Load {
    std::string rack;
    std::int64_t replicas = 0;
    std::int64_t preferred = 0;  // of them, those that lead if they can
  };
  struct Place {
    const broker::metadata::TopicImage* topic = nullptr;
    std::int32_t partition = 0;
    std::vector<std::int32_t> replicas;  // the target
    bool moving = false;
  };

  std::size_t racks_of(const std::vector<std::int32_t>& replicas) const;
  /// The best broker to add to `others`; nullopt: there is none left.
  std::optional<std::int32_t> best_for(const std::vector<std::int32_t>& others, bool leads) const;
  void count(const std::vector<std::int32_t>& replicas, std::int64_t sign);

  const broker::metadata::MetadataImage& image_;
  const std::set<std::int32_t> avoid_;
  std::map<std::int32_t, Load> loads_;         // of candidates
  std::map<std::int32_t, std::string> racks_;  // of all brokers
  std::vector<Place> places_;
};

}  // namespace op::plan
