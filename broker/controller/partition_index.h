#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "broker/metadata/delta.h"
#include "broker/metadata/topics_image.h"

namespace broker::controller {

/// Which partitions have to be looked at when something happens to a broker, so that nobody walks
/// through all of them. Follows the newest image of the controller; answers in order of topic id
/// and partition, so that decisions are the same everywhere. About 12 bytes per partition with
/// three replicas, plus what each topic costs per broker.
class PartitionIndex {
 public:
  using Key = std::pair<TopicId, std::int32_t>;

  PartitionIndex() = default;
  explicit PartitionIndex(const metadata::TopicsImage& topics);

  /// Goes on from `before`, which it reflects now, to `after`; `changes` names at least what
  /// differs.
  void apply(const metadata::TopicsImage& before, const metadata::TopicsImage& after,
             const metadata::MetadataChanges& changes);

  /// Where the broker is in the ISR, in the ELR, or leads.
  std::vector<Key> partitions_of(BrokerId id) const;
  std::size_t leaderships(BrokerId id) const;
  const std::set<Key>& leaderless() const { return leaderless_; }
  /// Led by another replica than the first.
  const std::set<Key>& imbalanced() const { return imbalanced_; }
  const std::set<Key>& reassigning() const { return reassigning_; }

  bool operator==(const PartitionIndex&) const = default;

 private:
  struct OfBroker {
    std::map<TopicId, std::vector<std::int32_t>> members;  // sorted
    std::size_t leaderships = 0;

    bool operator==(const OfBroker&) const = default;
  };

  void add(const Key& key, const metadata::PartitionRegistration& partition);
  void remove(const Key& key, const metadata::PartitionRegistration& partition);
  OfBroker& of(BrokerId id) { return brokers_[id]; }
  void drop_if_empty(BrokerId id);

  std::map<BrokerId, OfBroker> brokers_;
  std::set<Key> leaderless_;
  std::set<Key> imbalanced_;
  std::set<Key> reassigning_;
};

}  // namespace broker::controller
