#include "operator/plan/replica_moves.h"

#include <algorithm>
#include <tuple>

#include "operator/plan/balance.h"

namespace op::plan {

using broker::BrokerId;
using broker::metadata::BrokerRegistration;
using broker::metadata::MetadataImage;
using broker::metadata::PartitionRegistration;
using broker::metadata::TopicImage;

namespace {

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool is_cordoned(const BrokerRegistration& broker) {
  if (broker.log_dirs.empty()) return false;
  return std::all_of(broker.log_dirs.begin(), broker.log_dirs.end(), [&](const auto& directory) {
    const auto& cordoned = broker.cordoned_log_dirs;
    return std::find(cordoned.begin(), cordoned.end(), directory) != cordoned.end();
  });
}

}  // namespace

bool takes_replicas(const BrokerRegistration& broker) {
  return !broker.fenced && !broker.in_controlled_shutdown && !is_cordoned(broker);
}

bool is_moving(const PartitionRegistration& partition) {
  return !partition.adding_replicas.empty() || !partition.removing_replicas.empty();
}

std::vector<std::int32_t> ids_of(const std::vector<BrokerId>& brokers) {
  std::vector<std::int32_t> out;
  out.reserve(brokers.size());
  for (const BrokerId id : brokers) out.push_back(id.value);
  return out;
}

std::vector<std::int32_t> target_replicas(const PartitionRegistration& partition) {
  std::vector<std::int32_t> out;
  const auto& removing = partition.removing_replicas;
  for (const BrokerId id : partition.replicas)
    if (std::find(removing.begin(), removing.end(), id) == removing.end()) out.push_back(id.value);
  return out;
}

ReplicaMover::ReplicaMover(const MetadataImage& image, std::set<std::int32_t> avoid)
    : image_(image), avoid_(std::move(avoid)) {
  for (const auto& [id, broker] : image.cluster.brokers) {
    racks_[id.value] = broker.rack.value_or("");
    if (takes_replicas(broker) && !avoid_.contains(id.value))
      loads_[id.value].rack = broker.rack.value_or("");
  }
  for (const auto& [name, id] : image.topics.ids) {
    const TopicImage* topic = image.topics.find(id);
    if (topic == nullptr) continue;
    for (const auto& [index, partition] : topic->partitions) {
      places_.push_back({topic, index, target_replicas(partition), is_moving(partition)});
      count(places_.back().replicas, 1);
    }
  }
}

void ReplicaMover::count(const std::vector<std::int32_t>& replicas, std::int64_t sign) {
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const auto load = loads_.find(replicas[i]);
    if (load == loads_.end()) continue;
    load->second.replicas += sign;
    if (i == 0) load->second.preferred += sign;
  }
}

std::size_t ReplicaMover::racks_of(const std::vector<std::int32_t>& replicas) const {
  std::set<std::string> racks;
  for (const std::int32_t id : replicas) {
    const auto found = racks_.find(id);
    racks.insert(found == racks_.end() ? "" : found->second);
  }
  return racks.size();
}

std::optional<std::int32_t> ReplicaMover::best_for(const std::vector<std::int32_t>& others,
                                                   bool leads) const {
  std::set<std::string> taken;
  for (const std::int32_t id : others) {
    const auto found = racks_.find(id);
    if (found != racks_.end()) taken.insert(found->second);
  }
  std::optional<std::int32_t> best;
  std::tuple<bool, std::int64_t, std::int64_t> least;
  for (const auto& [id, load] : loads_) {
    if (contains(others, id)) continue;
    const std::tuple weight(taken.contains(load.rack), load.replicas, leads ? load.preferred : 0);
    if (best && !(weight < least)) continue;
    best = id;
    least = weight;
  }
  return best;
}

std::vector<Move> ReplicaMover::drain(const std::set<std::int32_t>& leaving, std::size_t limit) {
  std::vector<Move> out;
  const auto leaves = [&](std::int32_t id) { return leaving.contains(id); };
  for (Place& place : places_) {
    if (out.size() >= limit) break;
    std::vector<std::int32_t>& replicas = place.replicas;
    if (std::none_of(replicas.begin(), replicas.end(), leaves)) continue;
    if (replicas.size() > loads_.size()) continue;
    if (place.moving) {
      // It was on its way to a broker that leaves now: back, if where it came from stays.
      const PartitionRegistration& now = *place.topic->partitions.find(place.partition);
      std::vector<std::int32_t> before;
      for (const BrokerId id : now.replicas)
        if (std::find(now.adding_replicas.begin(), now.adding_replicas.end(), id) ==
            now.adding_replicas.end())
          before.push_back(id.value);
      if (std::none_of(before.begin(), before.end(), leaves)) {
        count(replicas, -1);
        count(before, 1);
        replicas = before;
        out.push_back({place.topic->name, place.partition, std::nullopt});
        continue;
      }
    }
    count(replicas, -1);
    std::vector<std::int32_t> next = replicas;
    for (std::size_t i = 0; i < next.size(); ++i) {
      if (!leaves(next[i])) continue;
      std::vector<std::int32_t> others;
      for (const std::int32_t id : next)
        if (!leaves(id)) others.push_back(id);
      next[i] = best_for(others, i == 0).value_or(next[i]);
    }
    replicas = next;
    count(replicas, 1);
    out.push_back({place.topic->name, place.partition, std::move(next)});
  }
  return out;
}

std::vector<Move> ReplicaMover::spread(std::size_t limit) {
  Balancer balancer(image_, avoid_);
  balancer.even_replicas(limit, true);
  std::vector<Move> out;
  for (Balancer::Change& change : balancer.changes()) out.push_back(std::move(change.move));
  return out;
}

std::int64_t ReplicaMover::surplus() const { return Balancer(image_, avoid_).surplus(); }

std::vector<Move> ReplicaMover::resize(const TopicImage& topic, std::size_t factor,
                                       std::size_t limit) {
  std::vector<Move> out;
  if (factor == 0) return out;
  for (const auto& [index, partition] : topic.partitions) {
    if (out.size() >= limit) break;
    std::vector<std::int32_t> next = target_replicas(partition);
    if (is_moving(partition) || next.size() == factor) continue;
    count(next, -1);
    while (next.size() < factor) {
      const auto added = best_for(next, next.empty());
      if (!added) break;
      next.push_back(*added);
    }
    while (next.size() > factor) {
      // The last one that can go without giving up a rack, or, where none can, the last one; one
      // that is out of sync rather than one that has everything.
      std::size_t victim = next.size() - 1;
      std::tuple<bool, bool> best_weight(true, true);
      for (std::size_t i = next.size() - 1; i > 0; --i) {
        std::vector<std::int32_t> rest = next;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
        const bool loses_rack = racks_of(rest) < std::min(racks_of(next), factor);
        const std::tuple weight(partition.in_isr(BrokerId{next[i]}), loses_rack);
        if (weight < best_weight) {
          victim = i;
          best_weight = weight;
        }
      }
      next.erase(next.begin() + static_cast<std::ptrdiff_t>(victim));
    }
    count(next, 1);
    if (next.size() == factor) out.push_back({topic.name, index, std::move(next)});
  }
  return out;
}

}  // namespace op::plan
