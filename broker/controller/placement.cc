#include "broker/controller/placement.h"

#include <algorithm>
#include <map>
#include <set>

namespace broker::controller {
namespace {

bool all_cordoned(const metadata::BrokerRegistration& broker) {
  return !broker.log_dirs.empty() &&
         std::all_of(broker.log_dirs.begin(), broker.log_dirs.end(), [&](const Uuid& directory) {
           return std::find(broker.cordoned_log_dirs.begin(), broker.cordoned_log_dirs.end(),
                            directory) != broker.cordoned_log_dirs.end();
         });
}

Error cannot(std::int16_t replication_factor, const std::string& why) {
  return {ErrorCode::kInvalidReplicationFactor, "Unable to replicate the partition " +
                                                    std::to_string(replication_factor) +
                                                    " time(s): " + why};
}

}  // namespace

ReplicaPlacer::ReplicaPlacer(const metadata::ClusterImage& cluster, Rng& rng) {
  std::map<std::optional<std::string>, Rack> racks;
  for (const auto& [id, broker] : cluster.brokers) {
    if (all_cordoned(broker)) continue;
    const bool active = cluster.is_active(id);
    active_count_ += active ? 1 : 0;
    racks[broker.rack].brokers.push_back({id, active});
  }
  rack_count_ = racks.size();
  std::vector<Rack> ordered;
  std::size_t largest = 0;
  for (auto& [name, rack] : racks) {
    std::rotate(rack.brokers.begin(),
                rack.brokers.begin() + static_cast<std::ptrdiff_t>(rng.below(rack.brokers.size())),
                rack.brokers.end());
    largest = std::max(largest, rack.brokers.size());
    ordered.push_back(std::move(rack));
  }
  for (std::size_t round = 0; round < largest; ++round)
    for (std::size_t rack = 0; rack < ordered.size(); ++rack)
      if (round < ordered[rack].brokers.size())
        ring_.emplace_back(rack, ordered[rack].brokers[round]);
  next_leader_ = ring_.empty() ? 0 : rng.below(ring_.size());
}

Result<std::vector<BrokerId>> ReplicaPlacer::place(std::int16_t replication_factor) {
  const auto wanted = static_cast<std::size_t>(replication_factor);
  if (replication_factor <= 0)
    return Error{ErrorCode::kInvalidReplicationFactor,
                 "Invalid replication factor " + std::to_string(replication_factor) +
                     ": the replication factor must be positive."};
  if (wanted > ring_.size())
    return cannot(replication_factor,
                  "The target replication factor of " + std::to_string(replication_factor) +
                      " cannot be reached because only " + std::to_string(ring_.size()) +
                      " broker(s) are registered or some brokers have all their log "
                      "directories cordoned.");
  if (active_count_ == 0) return cannot(replication_factor, "All brokers are currently fenced.");

  const std::size_t n = ring_.size();
  while (!ring_[next_leader_ % n].second.active) ++next_leader_;
  const std::size_t leader = next_leader_++ % n;
  // After each full turn the followers shift by one, or the same brokers would always be together.
  const std::size_t shift = placed_++ / active_count_;

  std::vector<BrokerId> replicas{ring_[leader].second.id};
  std::vector<bool> used(n, false);
  used[leader] = true;
  std::set<std::size_t> used_racks{ring_[leader].first};
  const auto take = [&](bool new_rack, bool active) {
    for (std::size_t step = 0; step < n && replicas.size() < wanted; ++step) {
      const std::size_t at = (leader + 1 + (shift + step) % n) % n;
      const auto& [rack, candidate] = ring_[at];
      if (used[at] || candidate.active != active) continue;
      if (new_rack && used_racks.contains(rack)) continue;
      used[at] = true;
      used_racks.insert(rack);
      replicas.push_back(candidate.id);
    }
  };
  while (replicas.size() < wanted) {
    const std::size_t before = replicas.size();
    take(true, true);
    take(true, false);
    // Every rack has one: they may all have another.
    if (replicas.size() == before || used_racks.size() == rack_count_) used_racks.clear();
  }
  return replicas;
}

std::vector<DirectoryId> directories_for(const metadata::ClusterImage& cluster,
                                         const std::vector<BrokerId>& replicas) {
  std::vector<DirectoryId> out;
  for (const BrokerId id : replicas) {
    const metadata::BrokerRegistration* broker = cluster.broker(id);
    const bool only_one = broker != nullptr && broker->log_dirs.size() == 1;
    out.push_back(only_one ? broker->log_dirs.front() : kDirectoryUnassigned);
  }
  return out;
}

}  // namespace broker::controller
