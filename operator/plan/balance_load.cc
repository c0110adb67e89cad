// The two goals of Balancer that are about what a broker has to do, not about how much it holds.
#include <algorithm>
#include <deque>
#include <limits>

#include "operator/plan/balance.h"

namespace op::plan {

/// Leadership goes from broker to broker along partitions that both have, until it arrives at one
/// that leads least: the shortest such way, found level by level.
bool Balancer::shift_leader(Node from) {
  constexpr Place kUnseen = std::numeric_limits<Place>::max();
  std::vector<Place> by(brokers_.size(), kUnseen);  // the partition that led here
  std::vector<Node> level{from};
  std::vector<bool> seen(brokers_.size());
  seen[from] = true;
  while (!level.empty()) {
    std::vector<Node> next;
    for (const Node node : level) {
      for (const Place place : on_[node]) {
        const Partition& partition = partitions_[place];
        if (partition.frozen || slots(place)[0] != node) continue;
        for (std::size_t i = 1; i < partition.count; ++i) {
          const Node other = slots(place)[i];
          if (seen[other] || !brokers_[other].takes) continue;
          seen[other] = true;
          by[other] = place;
          next.push_back(other);
        }
      }
    }
    const auto least = std::min_element(next.begin(), next.end(), [&](Node a, Node b) {
      return std::pair(brokers_[a].preferred, a) < std::pair(brokers_[b].preferred, b);
    });
    if (least != next.end() && brokers_[from].preferred - brokers_[*least].preferred >= 2) {
      lead_along(from, *least, by);
      return true;
    }
    level = std::move(next);
  }
  return false;
}

void Balancer::lead_along(Node from, Node to, const std::vector<Place>& by) {
  while (to != from) {
    const Place place = by[to];
    Node* replicas = slots(place);
    const Node before = replicas[0];
    std::swap(replicas[0], replicas[position(place, to)]);
    --brokers_[before].preferred;
    ++brokers_[to].preferred;
    touch(place);
    to = before;
  }
}

void Balancer::even_leaders() {
  std::vector<bool> done(brokers_.size());
  for (;;) {
    std::optional<Node> most;
    for (Node node = 0; node < brokers_.size(); ++node) {
      if (done[node] || !brokers_[node].takes) continue;
      if (!most || brokers_[node].preferred > brokers_[*most].preferred) most = node;
    }
    if (!most) return;
    if (!shift_leader(*most)) done[*most] = true;
  }
}

/// One partition down from a full broker, and perhaps a smaller one up for it.
struct Balancer::Swap {
  std::optional<Place> down;
  std::optional<Place> up;
  Node lean = 0;
  std::int64_t worth = 0;
};

bool Balancer::counts_allow(Node from, Node to) const {
  return brokers_[to].replicas < brokers_[from].replicas;
}

/// The best exchange of `down` with anything of `lean`: what it evens out, less a tenth of what it
/// copies.
void Balancer::consider(Node full, Node lean, Place down, bool keep_counts, Swap& best) const {
  const std::int64_t mean = mean_bytes();
  const std::int64_t above = brokers_[full].bytes - mean;
  const std::int64_t below = mean - brokers_[lean].bytes;
  const std::int64_t bytes = partitions_[down].bytes;
  const std::size_t at = position(down, full);
  const auto worth_of = [&](std::int64_t shifted, std::int64_t copied) {
    const std::int64_t before = std::abs(above) + std::abs(below);
    const std::int64_t after = std::abs(above - shifted) + std::abs(below - shifted);
    return before - after - copied / 10;
  };
  const auto offer = [&](std::optional<Place> up, std::int64_t worth) {
    if (worth <= best.worth) return;
    best = {down, up, lean, worth};
  };
  if (!fits(down, at, lean)) return;
  if (!keep_counts || counts_allow(full, lean)) offer(std::nullopt, worth_of(bytes, bytes));
  if (!keep_counts) return;
  // What brings both to the mean, and its neighbours in size.
  const auto& others = by_size_[lean];
  const std::int64_t ideal = bytes - std::min(above, std::max<std::int64_t>(below, above / 2));
  auto near = std::lower_bound(others.begin(), others.end(), std::pair(ideal, Place{0}));
  constexpr int kNeighbours = 4;
  for (int i = 0; i < kNeighbours && near != others.begin(); ++i) --near;
  for (int i = 0; i < 2 * kNeighbours && near != others.end(); ++i, ++near) {
    const auto& [size, up] = *near;
    if (size >= bytes) break;
    if (partitions_[up].frozen || up == down) continue;
    if (!fits(up, position(up, lean), full)) continue;
    offer(up, worth_of(bytes - size, bytes + size));
  }
}

bool Balancer::relieve(Node full, bool keep_counts) {
  const std::int64_t mean = mean_bytes();
  std::vector<Node> lean;
  for (Node node = 0; node < brokers_.size(); ++node)
    if (brokers_[node].takes && brokers_[node].bytes < brokers_[full].bytes) lean.push_back(node);
  std::stable_sort(lean.begin(), lean.end(),
                   [&](Node a, Node b) { return brokers_[a].bytes < brokers_[b].bytes; });
  Swap best;
  best.worth = std::max<std::int64_t>(mean / 1000, 0);
  for (const Node node : lean) {
    const std::int64_t before = best.worth;
    // As much as can be evened out between these two, less what has to be copied for it.
    const std::int64_t above = brokers_[full].bytes - mean;
    const std::int64_t enough =
        2 * std::min(above, std::max(mean - brokers_[node].bytes, above / 2)) * 8 / 10;
    const auto& held = by_size_[full];
    for (auto down = held.rbegin(); down != held.rend(); ++down) {
      if (2 * down->first <= best.worth || best.worth >= enough) break;
      if (!partitions_[down->second].frozen) consider(full, node, down->second, keep_counts, best);
    }
    if (best.worth > before) break;
    if (brokers_[node].bytes > mean) break;
  }
  if (!best.down) return false;
  const auto shift = [&](Place place, Node from, Node to) {
    const std::pair entry(partitions_[place].bytes, place);
    auto& left = by_size_[from];
    left.erase(std::lower_bound(left.begin(), left.end(), entry));
    auto& right = by_size_[to];
    right.insert(std::lower_bound(right.begin(), right.end(), entry), entry);
    put(place, position(place, from), to);
  };
  shift(*best.down, full, best.lean);
  if (best.up) shift(*best.up, best.lean, full);
  return true;
}

void Balancer::even_disk(bool keep_counts) {
  by_size_.assign(brokers_.size(), {});
  for (Node node = 0; node < brokers_.size(); ++node) {
    for (const Place place : on_[node])
      by_size_[node].emplace_back(partitions_[place].bytes, place);
    std::sort(by_size_[node].begin(), by_size_[node].end());
  }
  std::vector<bool> done(brokers_.size());
  for (;;) {
    // The fullest that can still be helped. One that is too empty is helped by the fullest.
    std::optional<Node> full;
    bool uneven = false;
    for (Node node = 0; node < brokers_.size(); ++node) {
      if (!brokers_[node].takes) continue;
      uneven = uneven || std::abs(brokers_[node].bytes - mean_bytes()) > band();
      if (done[node]) continue;
      if (!full || brokers_[node].bytes > brokers_[*full].bytes) full = node;
    }
    if (!full || !uneven || brokers_[*full].bytes <= mean_bytes()) break;
    if (!relieve(*full, keep_counts)) done[*full] = true;
  }
  by_size_.clear();
}

}  // namespace op::plan
