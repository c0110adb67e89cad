#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/coordinator/group/group_state.h"

namespace broker::coordinator::group {

/// Offsets committed in transactions that are still open: by producer, as one producer has one
/// transaction at a time.
class PendingOffsets {
 public:
  using At = std::pair<std::string, std::int32_t>;  // topic, partition
  using ByGroup = std::map<std::string, std::map<At, CommittedOffset>>;

  void add(ProducerId producer, const std::string& group, At at, CommittedOffset offset) {
    by_producer_[producer][group][std::move(at)] = std::move(offset);
  }
  /// The transaction is over: what it had.
  ByGroup take(ProducerId producer) {
    const auto taken = by_producer_.extract(producer);
    return taken ? std::move(taken.mapped()) : ByGroup();
  }
  /// Deleted meanwhile: a later commit does not bring it back.
  void drop(const std::string& group, const At& at) {
    for (auto& [producer, groups] : by_producer_)
      if (const auto found = groups.find(group); found != groups.end()) found->second.erase(at);
  }
  bool contains(const std::string& group, const At& at) const {
    for (const auto& [producer, groups] : by_producer_)
      if (const auto found = groups.find(group);
          found != groups.end() && found->second.contains(at))
        return true;
    return false;
  }
  std::set<At> of(const std::string& group) const {
    std::set<At> pending;
    for (const auto& [producer, groups] : by_producer_)
      if (const auto found = groups.find(group); found != groups.end())
        for (const auto& [at, offset] : found->second) pending.insert(at);
    return pending;
  }
  bool has(const std::string& group) const { return !by_producer_.empty() && !of(group).empty(); }
  const std::map<ProducerId, ByGroup>& all() const { return by_producer_; }

 private:
  std::map<ProducerId, ByGroup> by_producer_;
};

}  // namespace broker::coordinator::group
