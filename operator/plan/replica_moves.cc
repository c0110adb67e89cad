#include "operator/plan/replica_moves.h"

#include <algorithm>
#include <tuple>

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

bool is_moving(const PartitionRegistration& partition) {
  return !partition.adding_replicas.empty() || !partition.removing_replicas.empty();
}

std::vector<std::int32_t> target_replicas(const PartitionRegistration& partition) {
  std::vector<std::int32_t> out;
  const auto& removing = partition.removing_replicas;
  for (const BrokerId id : partition.replicas)
    if (std::find(removing.begin(), removing.end(), id) == removing.end()) out.push_back(id.value);
  return out;
}

ReplicaMover::ReplicaMover(const MetadataImage& image, std::set<std::int32_t> avoid)
    : image_(image) {
  for (const auto& [id, broker] : image.cluster.brokers) {
    racks_[id.value] = broker.rack.value_or("");
    if (broker.fenced || broker.in_controlled_shutdown || is_cordoned(broker)) continue;
    if (!avoid.contains(id.value)) loads_[id.value].rack = broker.rack.value_or("");
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

void ReplicaMover::index_places() {
  on_.clear();
  of_topic_.clear();
  for (std::size_t i = 0; i < places_.size(); ++i) {
    for (const std::int32_t id : places_[i].replicas) {
      on_[id].push_back(i);
      ++of_topic_[{places_[i].topic->name, id}];
    }
  }
}

/// Of what `from` holds, a partition of a topic that it has most of, and rather one that brings the
/// preferred leaders nearer to each other too.
bool ReplicaMover::move_between(std::int32_t from, std::int32_t to, std::vector<Move>& out) {
  Load& source = loads_.at(from);
  Load& target = loads_.at(to);
  const bool wants_leader = source.preferred > target.preferred;
  Place* best = nullptr;
  std::size_t best_at = 0;
  std::tuple<std::int64_t, bool> best_weight;
  for (const std::size_t index : on_[from]) {
    Place& place = places_[index];
    if (place.moving || contains(place.replicas, to)) continue;
    const auto at = std::find(place.replicas.begin(), place.replicas.end(), from);
    if (at == place.replicas.end()) continue;  // moved away in this round
    std::vector<std::int32_t> next = place.replicas;
    const auto position = static_cast<std::size_t>(at - place.replicas.begin());
    next[position] = to;
    if (racks_of(next) < racks_of(place.replicas)) continue;
    const std::string& topic = place.topic->name;
    const std::tuple weight(of_topic_[{topic, from}] - of_topic_[{topic, to}],
                            (position == 0) == wants_leader);
    if (best != nullptr && !(weight > best_weight)) continue;
    best = &place;
    best_at = position;
    best_weight = weight;
  }
  if (best == nullptr) return false;
  count(best->replicas, -1);
  best->replicas[best_at] = to;
  best->moving = true;  // one step at a time: the next round may move another replica of it
  count(best->replicas, 1);
  --of_topic_[{best->topic->name, from}];
  ++of_topic_[{best->topic->name, to}];
  out.push_back({best->topic->name, best->partition, best->replicas});
  return true;
}

std::vector<Move> ReplicaMover::spread(std::size_t limit) {
  std::vector<Move> out;
  index_places();
  while (out.size() < limit) {
    std::vector<std::int32_t> by_load;
    for (const auto& [id, load] : loads_) by_load.push_back(id);
    std::stable_sort(by_load.begin(), by_load.end(), [&](std::int32_t a, std::int32_t b) {
      return loads_.at(a).replicas < loads_.at(b).replicas;
    });
    bool moved = false;
    for (auto from = by_load.rbegin(); from != by_load.rend() && !moved; ++from) {
      for (const std::int32_t to : by_load) {
        if (loads_.at(*from).replicas - loads_.at(to).replicas < 2) break;
        moved = move_between(*from, to, out);
        if (moved) break;
      }
    }
    if (!moved) break;
  }
  return out;
}

std::int64_t ReplicaMover::surplus() const {
  if (loads_.empty()) return 0;
  std::int64_t total = 0;
  for (const auto& [id, load] : loads_) total += load.replicas;
  const auto brokers = static_cast<std::int64_t>(loads_.size());
  const std::int64_t high = (total + brokers - 1) / brokers;
  const std::int64_t low = total / brokers;
  std::int64_t above = 0;
  std::int64_t below = 0;
  for (const auto& [id, load] : loads_) {
    above += std::max<std::int64_t>(load.replicas - high, 0);
    below += std::max<std::int64_t>(low - load.replicas, 0);
  }
  return std::max(above, below);
}

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
