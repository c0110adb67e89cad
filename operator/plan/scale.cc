#include "operator/plan/scale.h"

#include <algorithm>

#include "operator/model/names.h"
#include "operator/plan/cluster_plan.h"
#include "operator/plan/common.h"
#include "operator/plan/progress.h"

namespace op::plan {

using broker::BrokerId;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::PartitionRegistration;

namespace {

namespace reason = api::reason;

constexpr std::string_view kCordonKey = "cordoned.log.dirs";
constexpr std::size_t kInternalReplicas = 3;  // as model/config.cc writes it
constexpr const char* kInternalTopics[] = {"__consumer_offsets", "__transaction_state",
                                           "__share_group_state"};

using Ids = std::set<std::int32_t>;

std::string listed(const Ids& ids) {
  std::string out;
  for (const std::int32_t id : ids) out += (out.empty() ? "" : ", ") + std::to_string(id);
  return out;
}

Ids declared_brokers(const ClusterInput& in) {
  Ids out;
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    for (const std::int32_t id : model::node_ids(pool))
      if (!in.leaving.contains(id)) out.insert(id);
  }
  return out;
}

bool is_broker(const ClusterInput& in, std::int32_t id) {
  const api::PoolSpec* pool = model::pool_of(in.cluster, id);
  return pool != nullptr && pool->has_role(api::Role::kBroker);
}

bool is_cordoned_by_config(const ClusterInput& in, std::int32_t id) {
  const auto& configs =
      in.image->configs.of(ConfigResource{ConfigResourceType::kBroker, std::to_string(id)});
  return configs.contains(std::string(kCordonKey));
}

bool any_of(const std::vector<BrokerId>& ids, const Ids& wanted) {
  return std::any_of(ids.begin(), ids.end(),
                     [&](BrokerId id) { return wanted.contains(id.value); });
}

/// Visits topic name, partition and registration of every partition.
template <class Visit>
void each_partition(const ClusterInput& in, Visit visit) {
  for (const auto& [name, id] : in.image->topics.ids) {
    const auto* topic = in.image->topics.find(id);
    if (topic == nullptr) continue;
    for (const auto& [index, partition] : topic->partitions) visit(name, index, partition);
  }
}

struct Census {
  std::int64_t moving = 0;    // partitions, all of them
  std::int64_t still_on = 0;  // partitions with a replica on a leaving node
  Ids holders;                // of any replica, of now or to come
  std::string widest_topic;   // of those that must leave a node, the one with most replicas
  std::size_t widest = 0;
};

Census take_census(const ClusterInput& in) {
  Census out;
  each_partition(in, [&](const std::string& topic, std::int32_t, const PartitionRegistration& p) {
    out.moving += is_moving(p) ? 1 : 0;
    for (const BrokerId id : p.replicas) out.holders.insert(id.value);
    for (const BrokerId id : p.adding_replicas) out.holders.insert(id.value);
    if (!any_of(p.replicas, in.leaving)) return;
    ++out.still_on;
    if (const std::size_t replicas = target_replicas(p).size(); replicas > out.widest) {
      out.widest = replicas;
      out.widest_topic = topic;
    }
  });
  return out;
}

/// A node whose replicas were on their way elsewhere stays after all: back with them.
std::vector<Move> take_back(const ClusterInput& in, const Ids& staying) {
  std::vector<Move> out;
  if (staying.empty()) return out;
  each_partition(in,
                 [&](const std::string& topic, std::int32_t index, const PartitionRegistration& p) {
                   if (any_of(p.removing_replicas, staying))
                     out.push_back({topic, index, std::nullopt});
                 });
  return out;
}

std::vector<Move> raise_internal_topics(const ClusterInput& in, ReplicaMover& mover,
                                        std::size_t limit) {
  std::vector<Move> out;
  const std::size_t wanted = std::min(kInternalReplicas, declared_brokers(in).size());
  for (const char* name : kInternalTopics) {
    const auto* topic = in.image->topics.find(name);
    const auto* first = topic ? topic->partitions.find(0) : nullptr;
    if (first == nullptr || mover.candidates() < wanted) continue;
    // Only up, and also those partitions that an earlier round did not get to.
    for (Move& move : mover.resize(*topic, wanted, limit - std::min(limit, out.size()))) {
      const auto* now = topic->partitions.find(move.partition);
      if (target_replicas(*now).size() < wanted) out.push_back(std::move(move));
    }
  }
  return out;
}

/// Why no move may begin now.
std::optional<Verdict> cannot_move(const ClusterInput& in) {
  if (!in.image || !in.synced)
    return Verdict{reason::kUnreachable, "the metadata of the cluster is not read yet"};
  if (in.roll && in.roll->node_id)
    return Verdict{reason::kScaling,
                   "node " + std::to_string(*in.roll->node_id) + " is being restarted first"};
  return std::nullopt;
}

/// The last nodes of each pool that hold nothing, are no voters, and have nobody above them.
Ids releasable(const ClusterInput& in, const Census& census) {
  Ids out;
  const bool voters_known = in.quorum && in.quorum_is_current && in.quorum->leader_id >= 0;
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    const auto ids = model::node_ids(pool);
    for (auto id = ids.rbegin(); id != ids.rend() && in.leaving.contains(*id); ++id) {
      if (pool.has_role(api::Role::kBroker) && census.holders.contains(*id)) break;
      if (pool.has_role(api::Role::kController) &&
          (!voters_known || in.quorum->voter(*id) != nullptr))
        break;
      out.insert(*id);
    }
  }
  return out;
}

/// Nodes that left their pools already: what Kafka still knows of them goes too.
void bury(const ClusterInput& in, const Census& census, const Ids& gone, ScaleStep& step,
          Ids& remembered) {
  for (const std::int32_t id : gone) {
    const auto* broker = in.image->cluster.broker(BrokerId{id});
    if (find_pod(in, id) != nullptr) {
      remembered.insert(id);
    } else if (broker != nullptr) {
      remembered.insert(id);
      if (!broker->fenced || census.holders.contains(id)) continue;
      if (is_cordoned_by_config(in, id)) {
        step.uncordon.push_back(id);
      } else {
        step.unregister.push_back(id);
      }
    }
  }
}

/// A topic may be created while a node stops, and be given a replica there.
std::vector<Move> rescue(const ClusterInput& in, const Census& census, const Ids& gone) {
  Ids stranded;
  for (const std::int32_t id : gone)
    if (census.holders.contains(id)) stranded.insert(id);
  if (stranded.empty()) return {};
  Ids avoid = in.leaving;
  avoid.insert(stranded.begin(), stranded.end());
  return ReplicaMover(*in.image, std::move(avoid)).drain(stranded, kMovesAtOnce);
}

void drain(const ClusterInput& in, const Census& census, ScaleStep& step) {
  const std::size_t left = declared_brokers(in).size();
  if (census.widest > left) {
    step.blocked =
        Verdict{reason::kReplicasDoNotFit, "node " + listed(in.leaving) + " cannot leave: topic " +
                                               census.widest_topic + " has " +
                                               std::to_string(census.widest) + " replicas, and " +
                                               detail::counted(left, "broker") + " would be left"};
    return;
  }
  for (const std::int32_t id : in.leaving)
    if (is_broker(in, id) && !is_cordoned_by_config(in, id) &&
        in.image->cluster.broker(BrokerId{id}) != nullptr)
      step.cordon.push_back(id);
  if (census.still_on == 0 || cannot_move(in)) return;
  const auto under_way = static_cast<std::size_t>(census.moving);
  ReplicaMover mover(*in.image, in.leaving);
  // What is on its way to a node that leaves now does not wait for a free place.
  step.moves = mover.drain(in.leaving, kMovesAtOnce);
  std::size_t free = kMovesAtOnce - std::min(kMovesAtOnce, under_way);
  std::erase_if(step.moves, [&](const Move& move) {
    const auto* topic = in.image->topics.find(move.topic);
    if (is_moving(*topic->partitions.find(move.partition))) return false;
    return free == 0 || free-- == 0;
  });
}

/// Internal topics, whose replicas are few or on their way.
std::int64_t unfinished_internal_partitions(const ClusterInput& in) {
  const std::size_t wanted = std::min(kInternalReplicas, declared_brokers(in).size());
  std::int64_t out = 0;
  for (const char* name : kInternalTopics) {
    const auto* topic = in.image->topics.find(name);
    if (topic == nullptr) continue;
    for (const auto& [index, partition] : topic->partitions)
      out += target_replicas(partition).size() < wanted || is_moving(partition) ? 1 : 0;
  }
  return out;
}

/// Returns what is left to do.
std::int64_t welcome(const ClusterInput& in, const Census& census, ScaleStep& step) {
  ReplicaMover mover(*in.image, in.leaving);
  const std::size_t free =
      kMovesAtOnce - std::min(kMovesAtOnce, static_cast<std::size_t>(census.moving));
  step.moves = raise_internal_topics(in, mover, free);
  const std::int64_t internal = unfinished_internal_partitions(in);
  if (in.cluster.spec.rebalance.on_scale != api::OnScale::kAuto) return internal;
  if (!step.moves.empty()) return internal + mover.surplus();
  const std::int64_t surplus = mover.surplus();
  // One at least is asked for, so that "nothing is left" is told from "no free place".
  auto moves = mover.spread(std::max<std::size_t>(free, 1));
  if (moves.empty()) return census.moving;
  const std::int64_t left = census.moving + std::max<std::int64_t>(surplus, 1);
  if (free > 0) step.moves = std::move(moves);
  return left;
}

/// Brokers that this cluster did not have when its status was written.
Ids newcomers(const ClusterInput& in, const std::optional<api::ScaleStatus>& before) {
  Ids out;
  if (before) out.insert(before->joining.begin(), before->joining.end());
  Ids known;
  for (const api::PoolStatus& pool : in.cluster.status.pools)
    known.insert(pool.node_ids.begin(), pool.node_ids.end());
  const Ids declared = declared_brokers(in);
  if (in.cluster.status.formatted && !known.empty())
    for (const std::int32_t id : declared)
      if (!known.contains(id)) out.insert(id);
  std::erase_if(out, [&](std::int32_t id) { return !declared.contains(id); });
  return out;
}

/// More than this and the whole of a spreading is not computed anew for every look at it.
constexpr std::size_t kPartitionsForecast = 20'000;

/// What is still to be copied, as far as it can be known; 0: it cannot.
std::int64_t bytes_left(const ClusterInput& in) {
  if (in.bytes.empty()) return 0;
  std::int64_t out = 0;
  std::size_t partitions = 0;
  each_partition(
      in, [&](const std::string& topic, std::int32_t index, const PartitionRegistration& p) {
        ++partitions;
        std::int64_t copies = static_cast<std::int64_t>(p.adding_replicas.size());
        if (!is_moving(p))
          copies = std::count_if(p.replicas.begin(), p.replicas.end(),
                                 [&](BrokerId id) { return in.leaving.contains(id.value); });
        out += copies * bytes_of(in.bytes, topic, index);
      });
  const bool spreads =
      in.leaving.empty() && in.cluster.spec.rebalance.on_scale == api::OnScale::kAuto;
  if (!spreads || partitions > kPartitionsForecast) return out;
  Balancer balancer(*in.image, in.leaving, in.bytes);
  balancer.even_replicas();
  for (const Balancer::Change& change : balancer.changes()) out += change.bytes;
  return out;
}

/// Progress in bytes where they are known, else in partitions.
void estimate_end(const ClusterInput& in, const api::ScaleStatus& before, api::ScaleStatus& out) {
  if (out.total == 0) return;
  if (out.started_at.empty()) out.started_at = in.now;
  if (out.moved == before.moved && out.moved_bytes == before.moved_bytes) return;
  out.eta = out.total_bytes > 0 ? estimate(out.moved_bytes, out.total_bytes, out.started_at, in.now)
                                : estimate(out.moved, out.total, out.started_at, in.now);
}

std::optional<api::ScaleStatus> to_status(const ClusterInput& in, const Ids& joining,
                                          const Ids& leaving, std::int64_t left,
                                          const std::string& waiting_for) {
  if (joining.empty() && leaving.empty()) return std::nullopt;
  api::ScaleStatus out = in.cluster.status.scale.value_or(api::ScaleStatus{});
  const auto same = [](const std::vector<std::int32_t>& a, const Ids& b) {
    return Ids(a.begin(), a.end()) == b;
  };
  if (!same(out.joining, joining) || !same(out.leaving, leaving)) out = api::ScaleStatus{};
  const api::ScaleStatus before = out;
  out.joining.assign(joining.begin(), joining.end());
  out.leaving.assign(leaving.begin(), leaving.end());
  out.total = std::max(out.total, left);
  out.moved = out.total - left;
  const std::int64_t bytes = in.image && in.synced && left > 0 ? bytes_left(in) : 0;
  out.total_bytes = std::max(out.total_bytes, bytes);
  if (!in.bytes.empty()) out.moved_bytes = out.total_bytes - bytes;
  estimate_end(in, before, out);
  out.waiting_for = waiting_for;
  return out;
}

}  // namespace

std::set<std::int32_t> hold_leaving_nodes(api::Cluster& cluster) {
  Ids leaving;
  for (api::PoolSpec& pool : cluster.spec.pools) {
    for (const api::PoolStatus& known : cluster.status.pools) {
      if (known.name != pool.name) continue;
      const std::int32_t declared_end = pool.first_node_id + pool.replicas;
      for (const std::int32_t id : known.node_ids) {
        if (id < declared_end) continue;
        leaving.insert(id);
        pool.replicas = std::max(pool.replicas, id - pool.first_node_id + 1);
      }
    }
  }
  return leaving;
}

ScaleStep plan_scale(const ClusterInput& in) {
  ScaleStep step;
  const auto& before = in.cluster.status.scale;
  step.status = before;
  if (!in.errors.empty() || in.cluster.metadata.is_paused()) return step;
  const Ids joining = newcomers(in, before);
  Ids leaving = in.leaving;
  Ids gone;     // left their pools
  Ids staying;  // are declared again
  if (before) {
    for (const std::int32_t id : before->leaving) {
      if (in.leaving.contains(id)) continue;
      (model::pool_of(in.cluster, id) == nullptr ? gone : staying).insert(id);
    }
  }
  if (joining.empty() && leaving.empty() && gone.empty() && staying.empty()) {
    step.status.reset();
    return step;
  }
  if (!in.image || !in.synced) {
    leaving.insert(gone.begin(), gone.end());
    leaving.insert(staying.begin(), staying.end());
    step.status = to_status(in, joining, leaving, before ? before->total - before->moved : 0,
                            "the metadata of the cluster is not read yet");
    return step;
  }

  const Census census = take_census(in);
  std::int64_t left = 0;
  std::string waiting_for;
  bury(in, census, gone, step, leaving);
  for (const std::int32_t id : staying) {
    if (!is_cordoned_by_config(in, id)) continue;
    step.uncordon.push_back(id);
    leaving.insert(id);
  }
  std::vector<Move> back = take_back(in, staying);
  if (!back.empty()) {
    step.moves = std::move(back);
    leaving.insert(staying.begin(), staying.end());
    left = static_cast<std::int64_t>(step.moves.size());
    waiting_for = "what was on its way is taken back";
  } else if (!in.leaving.empty()) {
    left = census.still_on;
    drain(in, census, step);
    if (!step.blocked) {
      for (const std::int32_t id : in.leaving)
        if (!census.holders.contains(id)) step.drained.insert(id);
      step.released = releasable(in, census);
    }
    if (step.blocked) waiting_for = step.blocked->message;
  }
  Ids still_joining = joining;
  if (in.leaving.empty() && back.empty() && !joining.empty()) {
    const bool all_there = std::all_of(joining.begin(), joining.end(), [&](std::int32_t id) {
      return in.image->cluster.is_alive(BrokerId{id});
    });
    const auto unnamed = std::find_if(joining.begin(), joining.end(), [&](std::int32_t id) {
      const ObservedPod* pod = find_pod(in, id);
      return pod != nullptr && pod->name_is_stale;
    });
    const auto wait = cannot_move(in);
    if (!all_there) {
      waiting_for = "broker " + listed(joining) + " must register first";
    } else if (unnamed != joining.end()) {
      // Clients in the cluster look for what it leads under its name.
      waiting_for = "the name of node " + std::to_string(*unnamed) + " does not lead to it yet";
    } else if (!wait) {
      left = welcome(in, census, step);
      if (left == 0) still_joining.clear();
    }
  }
  if (step.moves.empty() && !cannot_move(in)) step.moves = rescue(in, census, gone);
  if (const auto wait = cannot_move(in); wait && waiting_for.empty() && left > 0)
    waiting_for = wait->message;
  step.status = to_status(in, still_joining, leaving, left, waiting_for);
  return step;
}

std::string activity_of(const api::ClusterStatus& status) {
  const auto part = [](std::int64_t done, std::int64_t total) {
    return " " + std::to_string(done) + "/" + std::to_string(total);
  };
  if (status.roll)
    return (status.roll->window_opens.empty() ? "Rolling" : "Waiting") +
           part(status.roll->done, status.roll->total);
  if (!status.scale) return "";
  const bool drains = !status.scale->leaving.empty();
  if (status.scale->total == 0) return drains ? "Draining" : "Spreading";
  return (drains ? "Draining" : "Spreading") + part(status.scale->moved, status.scale->total);
}

}  // namespace op::plan
