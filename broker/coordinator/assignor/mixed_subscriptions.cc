#include "broker/coordinator/assignor/mixed_subscriptions.h"

#include <algorithm>
#include <numeric>

namespace broker::coordinator::assignor {

namespace {

constexpr int kNobody = -1;
constexpr int kMaxRounds = 16;

using Index = int;  // of a member

/// Names the least and the most loaded of a topic's subscribers, round robin among those equally
/// loaded. The caller moves one partition per call; both ends close in on each other meanwhile.
class Balancer {
 public:
  explicit Balancer(const std::vector<int>& loads) : loads_(loads) {}

  /// The difference between the most and the least loaded. `members` is not empty.
  int start(const std::vector<Index>& members) {
    sorted_ = members;
    std::sort(sorted_.begin(), sorted_.end(), [this](Index a, Index b) {
      return loads_[a] != loads_[b] ? loads_[a] < loads_[b] : a < b;
    });
    const int size = static_cast<int>(sorted_.size());
    least_end_ = 0;
    least_load_ = loads_[sorted_.front()] - 1;
    next_least_ = 0;
    most_begin_ = size;
    most_end_ = size;
    most_load_ = loads_[sorted_.back()] + 1;
    next_most_ = size - 1;
    return loads_[sorted_.back()] - loads_[sorted_.front()];
  }

  Index next_least() {
    if (next_least_ >= least_end_) {
      ++least_load_;
      const int size = static_cast<int>(sorted_.size());
      while (least_end_ < size && loads_[sorted_[least_end_]] == least_load_) ++least_end_;
      next_least_ = 0;
    }
    return sorted_[next_least_++];
  }

  /// kNobody when all were left out.
  Index next_most() {
    if (next_most_ < most_begin_) {
      if (most_end_ <= most_begin_ && most_begin_ > 0)
        most_load_ = loads_[sorted_[most_begin_ - 1]];
      else
        --most_load_;
      while (most_begin_ > 0 && loads_[sorted_[most_begin_ - 1]] == most_load_) --most_begin_;
      next_most_ = most_end_ - 1;
    }
    return next_most_ < 0 ? kNobody : sorted_[next_most_--];
  }

  /// The one that next_most() named last has nothing to give.
  void leave_out_most() {
    std::swap(sorted_[next_most_ + 1], sorted_[most_end_ - 1]);
    --most_end_;
  }

  bool is_balanced() const { return most_load_ - least_load_ <= 1; }

 private:
  const std::vector<int>& loads_;
  std::vector<Index> sorted_;
  int least_end_ = 0;
  int least_load_ = 0;
  int next_least_ = 0;
  int most_begin_ = 0;
  int most_end_ = 0;
  int most_load_ = 0;
  int next_most_ = 0;
};

struct Topic {
  Uuid id;
  std::vector<Index> subscribers;
  std::vector<Index> owners;  // by partition
};

// Those with the most partitions for each subscriber first.
bool topic_goes_before(const Topic* a, const Topic* b) {
  const auto share = [](const Topic* topic) {
    return static_cast<double>(topic->owners.size()) /
           static_cast<double>(topic->subscribers.size());
  };
  if (share(a) != share(b)) return share(a) > share(b);
  if (a->subscribers.size() != b->subscribers.size())
    return a->subscribers.size() < b->subscribers.size();
  // Java compares the halves as signed numbers.
  const auto halves = [](const Uuid& id) {
    return std::pair(static_cast<std::int64_t>(id.msb), static_cast<std::int64_t>(id.lsb));
  };
  return halves(a->id) < halves(b->id);
}

class MixedSubscriptions {
 public:
  explicit MixedSubscriptions(const GroupSpec& group)
      : group_(group), loads_(group.members.size()), balancer_(loads_) {
    for (std::size_t i = 0; i < group.members.size(); ++i)
      for (const Uuid& id : group.members[i].topics) {
        Topic& topic = topics_[id];
        topic.id = id;
        topic.subscribers.push_back(static_cast<Index>(i));
        topic.owners.resize(group.partition_counts.at(id), kNobody);
      }
    for (auto& [id, topic] : topics_) sorted_.push_back(&topic);
    std::sort(sorted_.begin(), sorted_.end(), topic_goes_before);
  }

  GroupAssignment assign() {
    if (topics_.empty()) return {};
    keep_subscribed();
    hand_out();
    level();
    return result();
  }

 private:
  void keep_subscribed() {
    for (std::size_t i = 0; i < group_.members.size(); ++i) {
      const Member& member = group_.members[i];
      for (const auto& [id, partitions] : member.assignment) {
        if (!member.topics.contains(id)) continue;
        std::vector<Index>& owners = topics_.at(id).owners;
        for (const std::int32_t partition : partitions) {
          if (partition >= static_cast<std::int32_t>(owners.size())) continue;
          owners[partition] = static_cast<Index>(i);
          ++loads_[i];
        }
      }
    }
  }

  void hand_out() {
    for (Topic* topic : sorted_) {
      if (std::count(topic->owners.begin(), topic->owners.end(), kNobody) == 0) continue;
      balancer_.start(topic->subscribers);
      for (Index& owner : topic->owners)
        if (owner == kNobody) move(owner, balancer_.next_least());
    }
  }

  void level() {
    std::vector<Topic*> movable;
    for (Topic* topic : sorted_)
      if (topic->subscribers.size() >= 2) movable.push_back(topic);
    const Topic* last_changed = nullptr;
    for (int round = 0; round < kMaxRounds; ++round)
      for (Topic* topic : movable) {
        if (topic == last_changed) return;  // once around without a change
        if (level(*topic) > 0 || last_changed == nullptr) last_changed = topic;
      }
  }

  // How many partitions changed hands.
  int level(Topic& topic) {
    if (balancer_.start(topic.subscribers) <= 1) return 0;
    std::vector<std::int32_t> order(topic.owners.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&topic](std::int32_t a, std::int32_t b) {
      return topic.owners[a] < topic.owners[b];
    });
    std::map<Index, std::vector<std::int32_t>> owned;  // the last one is given away first
    for (const std::int32_t partition : order) owned[topic.owners[partition]].push_back(partition);
    int moved = 0;
    while (!balancer_.is_balanced()) {
      Index from = balancer_.next_most();
      while (from != kNobody && owned[from].empty()) {
        balancer_.leave_out_most();
        from = balancer_.next_most();
      }
      if (from == kNobody) break;
      const std::int32_t partition = owned[from].back();
      owned[from].pop_back();
      const Index to = balancer_.next_least();
      // Both ends have met: this move would only turn things round.
      if (balancer_.is_balanced()) break;
      move(topic.owners[partition], to);
      ++moved;
    }
    return moved;
  }

  void move(Index& owner, Index to) {
    if (owner != kNobody) --loads_[owner];
    owner = to;
    ++loads_[to];
  }

  GroupAssignment result() const {
    GroupAssignment result;
    for (const Member& member : group_.members) result[member.id];
    for (const auto& [id, topic] : topics_)
      for (std::size_t partition = 0; partition < topic.owners.size(); ++partition)
        if (topic.owners[partition] != kNobody)
          result[group_.members[topic.owners[partition]].id][id].insert(
              static_cast<std::int32_t>(partition));
    return result;
  }

  const GroupSpec& group_;
  std::vector<int> loads_;  // partitions, by member
  Balancer balancer_;
  std::map<Uuid, Topic> topics_;
  std::vector<Topic*> sorted_;
};

}  // namespace

GroupAssignment assign_mixed_subscriptions(const GroupSpec& group) {
  return MixedSubscriptions(group).assign();
}

}  // namespace broker::coordinator::assignor
