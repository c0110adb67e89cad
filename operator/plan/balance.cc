#include "operator/plan/balance.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace op::plan {

using broker::BrokerId;
using broker::metadata::MetadataImage;

std::int64_t bytes_of(const PartitionBytes& bytes, const std::string& topic, std::int32_t index) {
  const auto found = bytes.find(topic);
  if (found == bytes.end() || index < 0) return 0;
  const auto at = static_cast<std::size_t>(index);
  return at < found->second.size() ? found->second[at] : 0;
}

Balancer::Balancer(const MetadataImage& image, const std::set<std::int32_t>& avoid,
                   const PartitionBytes& bytes) {
  add_brokers(image, avoid);
  add_partitions(image, bytes);
  slots_before_ = slots_;
  is_touched_.assign(partitions_.size(), false);
}

void Balancer::add_brokers(const MetadataImage& image, const std::set<std::int32_t>& avoid) {
  std::map<std::string, std::uint32_t> racks;
  for (const auto& [id, broker] : image.cluster.brokers) {
    Broker out;
    out.id = id.value;
    out.rack_name = broker.rack.value_or("");
    out.rack = racks.emplace(out.rack_name, static_cast<std::uint32_t>(racks.size())).first->second;
    out.takes = takes_replicas(broker) && !avoid.contains(id.value);
    taking_ += out.takes ? 1 : 0;
    node_of_[id.value] = static_cast<Node>(brokers_.size());
    brokers_.push_back(std::move(out));
  }
}

void Balancer::add_partitions(const MetadataImage& image, const PartitionBytes& bytes) {
  on_.resize(brokers_.size());
  for (const auto& [name, id] : image.topics.ids) {
    const auto* topic = image.topics.find(id);
    if (topic == nullptr) continue;
    const auto number = static_cast<std::uint32_t>(topics_.size());
    topics_.push_back(name);
    of_topic_.resize(topics_.size() * brokers_.size());
    for (const auto& [index, registration] : topic->partitions) {
      Partition partition{number, index, static_cast<std::uint32_t>(slots_.size())};
      partition.frozen = is_moving(registration);
      partition.bytes = bytes_of(bytes, name, index);
      const auto place = static_cast<Place>(partitions_.size());
      for (const std::int32_t replica : target_replicas(registration)) {
        const auto node = node_of_.find(replica);
        // On a broker that nobody knows: the partition is left as it is.
        if (node == node_of_.end()) {
          partition.frozen = true;
          continue;
        }
        Broker& broker = brokers_[node->second];
        ++broker.replicas;
        broker.bytes += partition.bytes;
        if (broker.takes) {
          taking_bytes_ += partition.bytes;
          ++replicas_;
        }
        if (partition.count == 0) ++broker.preferred;
        slots_.push_back(node->second);
        ++partition.count;
      }
      partitions_.push_back(partition);
      for (std::size_t i = 0; i < partition.count; ++i) {
        on_[slots(place)[i]].push_back(place);
        ++of_topic(place, slots(place)[i]);
      }
    }
  }
}

std::size_t Balancer::position(Place place, Node node) const {
  const Node* begin = slots(place);
  const Node* end = begin + partitions_[place].count;
  return static_cast<std::size_t>(std::find(begin, end, node) - begin);
}

std::size_t Balancer::in_rack(Place place, std::uint32_t rack) const {
  const Node* begin = slots(place);
  return static_cast<std::size_t>(
      std::count_if(begin, begin + partitions_[place].count,
                    [&](Node node) { return brokers_[node].rack == rack; }));
}

bool Balancer::fits(Place place, std::size_t at, Node to) const {
  const Broker& target = brokers_[to];
  if (!target.takes || position(place, to) < partitions_[place].count) return false;
  const std::uint32_t from_rack = brokers_[slots(place)[at]].rack;
  if (from_rack == target.rack) return true;
  return in_rack(place, target.rack) + 1 <= in_rack(place, from_rack);
}

void Balancer::touch(Place place) {
  if (is_touched_[place]) return;
  is_touched_[place] = true;
  touched_.push_back(place);
}

void Balancer::put(Place place, std::size_t at, Node to) {
  const Partition& partition = partitions_[place];
  const Node from = slots(place)[at];
  for (const auto& [node, sign] : {std::pair{from, -1}, std::pair{to, 1}}) {
    Broker& broker = brokers_[node];
    broker.replicas += sign;
    broker.bytes += sign * partition.bytes;
    if (broker.takes) {
      taking_bytes_ += sign * partition.bytes;
      replicas_ += sign;
    }
    if (at == 0) broker.preferred += sign;
    of_topic(place, node) = static_cast<std::uint16_t>(of_topic(place, node) + sign);
  }
  slots(place)[at] = to;
  std::vector<Place>& held = on_[from];
  const auto found = std::find(held.begin(), held.end(), place);
  *found = held.back();
  held.pop_back();
  on_[to].push_back(place);
  touch(place);
}

/// One replica out of the rack that has most of them, into one that has least: to the broker there
/// that holds least.
bool Balancer::even_rack_of(Place place) {
  const Partition& partition = partitions_[place];
  if (partition.frozen) return false;
  std::size_t crowd = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < partition.count; ++i) {
    const std::size_t here = in_rack(place, brokers_[slots(place)[i]].rack);
    // The last of them: who leads goes on leading.
    if (here >= crowd) {
      crowd = here;
      at = i;
    }
  }
  if (crowd < 2) return false;
  std::optional<Node> best;
  std::tuple<std::size_t, std::int64_t, std::int64_t> least;
  for (Node node = 0; node < brokers_.size(); ++node) {
    const std::size_t there = in_rack(place, brokers_[node].rack);
    if (there + 1 >= crowd || !fits(place, at, node)) continue;
    const std::tuple weight(there, brokers_[node].replicas, brokers_[node].bytes);
    if (best && !(weight < least)) continue;
    best = node;
    least = weight;
  }
  if (!best) return false;
  put(place, at, *best);
  return true;
}

void Balancer::even_racks() {
  for (Place place = 0; place < partitions_.size(); ++place)
    while (even_rack_of(place)) {
    }
}

std::int64_t Balancer::mean_bytes() const { return taking_ == 0 ? 0 : taking_bytes_ / taking_; }

std::int64_t Balancer::band() const { return mean_bytes() * kDiskBand / 100; }

bool Balancer::disk_allows(Place place, Node from, Node to) const {
  const std::int64_t mean = mean_bytes();
  const std::int64_t allowed = band();
  const auto stays = [&](std::int64_t before, std::int64_t change) {
    return std::abs(before + change - mean) <= std::max(allowed, std::abs(before - mean));
  };
  const std::int64_t bytes = partitions_[place].bytes;
  return stays(brokers_[from].bytes, -bytes) && stays(brokers_[to].bytes, bytes);
}

/// What goes from one broker to another, best first; of each topic one, because the next one of it
/// has another weight then. At most `limit`.
std::vector<Balancer::Shift> Balancer::shifts(Node from, Node to, std::size_t limit) {
  const Broker& source = brokers_[from];
  const Broker& target = brokers_[to];
  const bool wants_leader = source.preferred > target.preferred;
  // What would make them hold the same; nothing where that is known to be so: the least is copied.
  const std::int64_t wanted_bytes = std::max<std::int64_t>((source.bytes - target.bytes) / 2, 0);
  std::vector<Shift> out;
  for (const Place place : on_[from]) {
    const Partition& partition = partitions_[place];
    if (partition.frozen) continue;
    const int evens_topic = int{of_topic(place, from)} - int{of_topic(place, to)};
    const std::size_t at = position(place, from);
    const Shift shift{evens_topic, (at == 0) == wants_leader,
                      -std::abs(partition.bytes - wanted_bytes), place, at};
    if (out.size() == limit && !(shift > out.back())) continue;
    if (!fits(place, at, to) || (guards_disk_ && !disk_allows(place, from, to))) continue;
    const auto rival = std::find_if(out.begin(), out.end(), [&](const Shift& other) {
      return partitions_[other.place].topic == partition.topic;
    });
    if (rival != out.end()) {
      if (!(shift > *rival)) continue;
      out.erase(rival);
    }
    if (out.size() == limit) out.pop_back();
    out.insert(std::upper_bound(out.begin(), out.end(), shift, std::greater<>()), shift);
  }
  return out;
}

bool Balancer::shift_replicas(Node from, Node to, std::size_t limit, bool once) {
  const auto chosen = shifts(from, to, limit);
  for (const Shift& shift : chosen) {
    if (shift.place != chosen.front().place && guards_disk_ && !disk_allows(shift.place, from, to))
      continue;
    put(shift.place, shift.at, to);
    if (once) partitions_[shift.place].frozen = true;
  }
  return !chosen.empty();
}

std::vector<Balancer::Node> Balancer::by_replicas() const {
  std::vector<Node> out;
  for (Node node = 0; node < brokers_.size(); ++node)
    if (brokers_[node].takes) out.push_back(node);
  std::stable_sort(out.begin(), out.end(),
                   [&](Node a, Node b) { return brokers_[a].replicas < brokers_[b].replicas; });
  return out;
}

/// As many as neither broker comes to the mean by: more would have to go back.
std::size_t Balancer::together(Node from, Node to, std::size_t limit) const {
  constexpr std::int64_t kAtMost = 16;
  const std::int64_t mean = replicas_ / std::max<std::int64_t>(taking_, 1);
  const std::int64_t room =
      std::min(brokers_[from].replicas - mean - 1, mean - brokers_[to].replicas);
  const std::int64_t most = std::clamp<std::int64_t>(room / 4, 1, kAtMost);
  return std::min(limit, static_cast<std::size_t>(most));
}

void Balancer::even_replicas(std::size_t limit, bool once) {
  const std::size_t nodes = brokers_.size();
  std::vector<bool> futile(nodes * nodes);  // pairs that had nothing for each other
  bool since_cleared = false;
  while (touched_.size() < limit) {
    const std::vector<Node> order = by_replicas();
    bool moved = false;
    for (auto from = order.rbegin(); from != order.rend() && !moved; ++from) {
      for (const Node to : order) {
        if (brokers_[*from].replicas - brokers_[to].replicas < 2) break;
        if (futile[*from * nodes + to]) continue;
        moved = shift_replicas(*from, to, together(*from, to, limit - touched_.size()), once);
        if (moved) break;
        futile[*from * nodes + to] = true;
      }
    }
    if (!moved && !since_cleared) break;
    since_cleared = moved;
    if (!moved) futile.assign(futile.size(), false);
  }
}

std::int64_t Balancer::surplus() const {
  if (taking_ == 0) return 0;
  const std::int64_t high = (replicas_ + taking_ - 1) / taking_;
  const std::int64_t low = replicas_ / taking_;
  std::int64_t above = 0;
  std::int64_t below = 0;
  for (const Broker& broker : brokers_) {
    if (!broker.takes) continue;
    above += std::max<std::int64_t>(broker.replicas - high, 0);
    below += std::max<std::int64_t>(low - broker.replicas, 0);
  }
  return std::max(above, below);
}

std::vector<Balancer::Change> Balancer::changes() const {
  std::vector<Change> out;
  for (const Place place : touched_) {
    const Partition& partition = partitions_[place];
    const Node* now = slots(place);
    const Node* before = &slots_before_[partition.first];
    if (std::equal(now, now + partition.count, before)) continue;
    Change change{{topics_[partition.topic], partition.index, std::vector<std::int32_t>()}};
    for (std::size_t i = 0; i < partition.count; ++i) {
      change.move.replicas->push_back(brokers_[now[i]].id);
      if (std::find(before, before + partition.count, now[i]) == before + partition.count)
        ++change.copies;
    }
    change.bytes = partition.bytes * static_cast<std::int64_t>(change.copies);
    out.push_back(std::move(change));
  }
  return out;
}

}  // namespace op::plan
