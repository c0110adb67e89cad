#include "operator/plan/roller.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <tuple>

#include "operator/model/names.h"
#include "operator/plan/cluster_plan.h"
#include "operator/plan/common.h"
#include "operator/plan/replica_moves.h"

namespace op::plan {

using broker::BrokerId;
using broker::metadata::MetadataImage;
using broker::metadata::PartitionRegistration;

namespace {

namespace reason = api::reason;

constexpr std::size_t kTopicsNamed = 10;
/// An election takes milliseconds, and is asked for again every second.
constexpr std::chrono::milliseconds kRestorePatience = std::chrono::seconds(20);

bool has_role(const ClusterInput& in, std::int32_t node_id, api::Role role) {
  const api::PoolSpec* pool = model::pool_of(in.cluster, node_id);
  return pool != nullptr && pool->has_role(role);
}

std::size_t controller_count(const ClusterInput& in) {
  std::size_t out = 0;
  for (const api::PoolSpec& pool : in.cluster.spec.pools)
    if (pool.has_role(api::Role::kController)) out += model::node_ids(pool).size();
  return out;
}

bool is_quorum_leader(const ClusterInput& in, std::int32_t node_id) {
  return in.quorum && in.quorum->leader_id == node_id;
}

std::int32_t to_int(const std::string& text, std::int32_t otherwise) {
  std::int32_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// What a topic without a value of its own goes by.
std::int32_t default_min_insync(const ClusterInput& in) {
  const std::string key = "min.insync.replicas";
  const auto& dynamic = in.image->configs.of(
      broker::metadata::ConfigResource{broker::metadata::ConfigResourceType::kBroker, ""});
  if (const auto found = dynamic.find(key); found != dynamic.end()) return to_int(found->second, 1);
  if (const auto found = in.cluster.spec.config.find(key); found != in.cluster.spec.config.end())
    return to_int(found->second, 1);
  return model::default_min_insync(in.cluster);
}

std::int32_t min_insync(const ClusterInput& in, const std::string& topic, std::int32_t otherwise) {
  const auto& own = in.image->configs.of(
      broker::metadata::ConfigResource{broker::metadata::ConfigResourceType::kTopic, topic});
  const auto found = own.find("min.insync.replicas");
  return found == own.end() ? otherwise : to_int(found->second, otherwise);
}

/// Topics that cannot be written while the broker is away, whatever is in sync.
std::vector<std::string> topics_that_need(const ClusterInput& in, std::int32_t node_id) {
  std::vector<std::string> out;
  const std::int32_t otherwise = default_min_insync(in);
  for (const auto& [name, id] : in.image->topics.ids) {
    const auto* topic = in.image->topics.find(id);
    if (topic == nullptr) continue;
    const std::int32_t wanted = std::max(min_insync(in, name, otherwise), 1);
    for (const auto& [index, partition] : topic->partitions) {
      if (!partition.has_replica(BrokerId{node_id})) continue;
      if (static_cast<std::int32_t>(partition.replicas.size()) - 1 >= wanted) continue;
      out.push_back(name);
      break;
    }
    if (out.size() == kTopicsNamed) break;
  }
  return out;
}

std::map<std::int32_t, std::int64_t> partitions_led(const MetadataImage& image) {
  std::map<std::int32_t, std::int64_t> out;
  for (const auto& [id, topic] : image.topics.by_id)
    for (const auto& [index, partition] : topic.partitions) ++out[partition.leader.value];
  return out;
}

std::int64_t epoch_of(const ClusterInput& in, std::int32_t node_id) {
  const auto* broker = in.image ? in.image->cluster.broker(BrokerId{node_id}) : nullptr;
  return broker ? broker->epoch.value : -1;
}

/// Replicas, quorum: what must be whole before one more may go, and after one has come back.
std::optional<Verdict> not_whole(const ClusterInput& in) {
  if (!in.image || !in.synced)
    return Verdict{reason::kUnreachable,
                   in.problem.empty() ? "the metadata of the cluster is not read yet" : in.problem};
  const ReplicationHealth health = replication_health(in);
  if (health.under_replicated > 0)
    return Verdict{reason::kUnderReplicated, detail::counted(health.under_replicated, "partition") +
                                                 " must get back in sync, such as " +
                                                 health.example};
  if (health.moving > 0)
    return Verdict{reason::kUnderReplicated, detail::counted(health.moving, "partition") +
                                                 " are being moved, such as " + health.example};
  if (controller_count(in) == 1) return std::nullopt;
  if (!in.quorum || !in.quorum_is_current || in.quorum->leader_id < 0)
    return Verdict{reason::kUnreachable, "the quorum has not said yet who leads it"};
  for (const QuorumReplica& voter : in.quorum->voters) {
    if (!voter.caught_up)
      return Verdict{reason::kBrokersNotReady, "controller " + std::to_string(voter.node_id) +
                                                   " has not caught up with the metadata log"};
  }
  return std::nullopt;
}

/// Why the node under way does not count as back; nullopt: it does.
std::optional<Verdict> not_back(const ClusterInput& in, const api::RollStatus& roll) {
  const std::int32_t id = *roll.node_id;
  const ObservedPod* pod = find_pod(in, id);
  if (!pod || pod->uid == roll.pod_uid || pod->deleting)
    return Verdict{reason::kBrokersNotReady, "node " + std::to_string(id) + " is being restarted"};
  if (const auto missing = node_problem(in, id)) return missing;
  if (has_role(in, id, api::Role::kBroker)) {
    // The image may be a moment behind the pod: a registration of before proves nothing.
    if (epoch_of(in, id) <= roll.broker_epoch || !in.image->cluster.is_alive(BrokerId{id}))
      return Verdict{reason::kBrokersNotReady,
                     "broker " + std::to_string(id) + " has not registered again"};
  }
  if (auto why = not_whole(in)) return why;
  // Clients in the cluster look for what it leads under its name.
  if (pod->name_is_stale)
    return Verdict{reason::kBrokersNotReady,
                   "the name of node " + std::to_string(id) + " still leads to its former address"};
  return std::nullopt;
}

/// Partitions that prefer the node, which has everything of them, and are led by another one.
std::vector<std::pair<std::string, std::int32_t>> led_by_others(const ClusterInput& in,
                                                                std::int32_t node_id) {
  std::vector<std::pair<std::string, std::int32_t>> out;
  const BrokerId id{node_id};
  for (const auto& [topic_id, topic] : in.image->topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      if (partition.replicas.empty() || partition.replicas.front() != id) continue;
      if (partition.leader != id && partition.in_isr(id)) out.emplace_back(topic.name, index);
    }
  }
  return out;
}

/// Asks that the node under way lead again what prefers it; an election that is refused for ever
/// (its disk lost the partition) must not hold the roll for ever: after a while it goes on, and
/// status says what was not restored. nullopt: nothing is left to ask for.
std::optional<RollStep> restore_leaders(const ClusterInput& in, api::RollStatus& roll) {
  const std::int32_t id = *roll.node_id;
  auto partitions = led_by_others(in, id);
  if (partitions.empty()) return std::nullopt;
  if (roll.restoring_since.empty()) roll.restoring_since = in.now;
  if (to_wall_ms(in.now) - to_wall_ms(roll.restoring_since) >= kRestorePatience.count()) {
    for (const auto& [topic, index] : partitions) {
      auto& named = roll.not_restored;
      if (named.size() == kTopicsNamed) break;
      std::string one = topic + "-" + std::to_string(index) + " of node " + std::to_string(id);
      if (std::find(named.begin(), named.end(), one) == named.end())
        named.push_back(std::move(one));
    }
    return std::nullopt;
  }
  Verdict why{reason::kBrokersNotReady,
              "node " + std::to_string(id) + " gets its leaderships back, such as that of " +
                  partitions.front().first + "-" + std::to_string(partitions.front().second)};
  roll.waiting_for = why.message;
  return RollStep{RestoreLeaders{std::move(partitions), std::move(why)}, roll};
}

std::vector<const ObservedPod*> outdated_pods(const ClusterInput& in) {
  std::vector<const ObservedPod*> out;
  for (const ObservedPod& pod : in.pods)
    if (outdated(in, pod)) out.push_back(&pod);
  return out;
}

/// The next healthy one: least impact first.
const ObservedPod* least_impact(const ClusterInput& in,
                                const std::vector<const ObservedPod*>& candidates) {
  const auto led = partitions_led(*in.image);
  const auto weight = [&](const ObservedPod* pod) {
    const auto found = led.find(pod->node_id);
    return std::tuple(is_quorum_leader(in, pod->node_id),
                      has_role(in, pod->node_id, api::Role::kController),
                      found == led.end() ? std::int64_t{0} : found->second, pod->node_id);
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](const auto* a, const auto* b) { return weight(a) < weight(b); });
}

RestartBroker restart(const ClusterInput& in, const ObservedPod& pod) {
  return {pod.node_id, pod.name, pod.uid, {reason::kRestartRequired, *outdated(in, pod)}};
}

RollStep wait(api::RollStatus roll, Verdict why) {
  roll.waiting_for = why.message;
  return {WaitUntilReady{std::move(why)}, std::move(roll)};
}

RollStep begin(const ClusterInput& in, api::RollStatus roll, const ObservedPod& pod) {
  roll.node_id = pod.node_id;
  roll.pod_uid = pod.uid;
  roll.broker_epoch = epoch_of(in, pod.node_id);
  roll.waiting_for = "node " + std::to_string(pod.node_id) + " is being restarted";
  return {restart(in, pod), std::move(roll)};
}

/// Whether every node that is not ready has yet to be restarted: none is on its way back.
bool only_outdated_are_down(const ClusterInput& in) {
  for (const api::PoolSpec& pool : in.cluster.spec.pools) {
    for (const std::int32_t id : model::node_ids(pool)) {
      if (!node_problem(in, id)) continue;
      const ObservedPod* pod = find_pod(in, id);
      if (!pod || pod->deleting || !outdated(in, *pod)) return false;
    }
  }
  return true;
}

/// A pod that does not serve anyway and runs what was declared before; nullptr: there is none.
/// Several may go at once, as a quorum of broken nodes comes back only together; but none follows
/// one that the new declaration broke.
const ObservedPod* down(const ClusterInput& in, const std::optional<std::int32_t>& under_way,
                        const std::vector<const ObservedPod*>& candidates) {
  const ObservedPod* first = under_way ? find_pod(in, *under_way) : nullptr;
  const bool broken_by_change = first && !first->problem.empty() && !outdated(in, *first);
  const ObservedPod* found = nullptr;
  for (const ObservedPod* pod : candidates) {
    if (pod->ready || pod->deleting) continue;
    if (pod == first) return pod;
    if (broken_by_change || found) continue;
    const bool nothing_to_lose = !pod->problem.empty() || !in.cluster.status.formatted;
    if (nothing_to_lose || (!under_way && only_outdated_are_down(in))) found = pod;
  }
  return found;
}

api::RollStatus progress_of(const ClusterInput& in,
                            const std::vector<const ObservedPod*>& candidates) {
  api::RollStatus roll = in.cluster.status.roll.value_or(api::RollStatus{});
  roll.waiting_for.clear();
  roll.window_opens.clear();
  const bool away = roll.node_id &&
                    std::none_of(candidates.begin(), candidates.end(), [&](const ObservedPod* pod) {
                      return pod->node_id == *roll.node_id;
                    });
  const auto left = static_cast<std::int32_t>(candidates.size()) + (away ? 1 : 0);
  roll.total = std::max(roll.total, left);  // an edit in the middle makes more to do
  roll.done = roll.total - left;
  return roll;
}

constexpr const char* kNoWindowOpens = "never";

/// The pods could go on as they are: they wait until they may go.
RollStep wait_for_window(const ClusterInput& in, api::RollStatus roll) {
  roll.node_id.reset();  // decided perhaps, but not begun
  roll.pod_uid.clear();
  roll.broker_epoch = -1;
  const bool opens = !in.window.opens.empty();
  roll.window_opens = opens ? in.window.opens : kNoWindowOpens;
  return wait(std::move(roll), {reason::kMaintenanceWindow,
                                opens ? "the next maintenance window opens at " + in.window.opens
                                      : "no maintenance window opens in the next five years"});
}

/// All healthy, nothing under way: who is next.
RollStep next(const ClusterInput& in, api::RollStatus roll,
              const std::vector<const ObservedPod*>& candidates) {
  if (!in.window.open) return wait_for_window(in, std::move(roll));
  for (const api::PoolSpec& pool : in.cluster.spec.pools)
    for (const std::int32_t id : model::node_ids(pool))
      if (auto missing = node_problem(in, id)) return wait(std::move(roll), std::move(*missing));
  if (auto why = not_whole(in)) return wait(std::move(roll), std::move(*why));
  const ObservedPod& pod = *least_impact(in, candidates);
  roll.unsafe_topics = has_role(in, pod.node_id, api::Role::kBroker)
                           ? topics_that_need(in, pod.node_id)
                           : std::vector<std::string>();
  if (!roll.unsafe_topics.empty() &&
      in.cluster.spec.upgrade.on_unsafe_topics == api::UnsafeTopics::kBlock)
    return wait(std::move(roll),
                {reason::kUnsafeTopics, "topic " + roll.unsafe_topics.front() +
                                            " cannot be written while broker " +
                                            std::to_string(pod.node_id) + " restarts"});
  return begin(in, std::move(roll), pod);
}

}  // namespace

ReplicationHealth replication_health(const ClusterInput& in) {
  ReplicationHealth out;
  if (!in.image) return out;
  for (const auto& [id, topic] : in.image->topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const bool moving = is_moving(partition);
      const bool short_of_isr = partition.isr.size() < partition.replicas.size();
      if (!moving && !short_of_isr) continue;
      // A replica that is being added is not in sync yet, and nothing is wrong.
      (moving ? out.moving : out.under_replicated) += 1;
      if (out.example.empty() || (!moving && out.under_replicated == 1))
        out.example = topic.name + "-" + std::to_string(index);
    }
  }
  return out;
}

RollStep plan_roll(const ClusterInput& in) {
  if (!in.errors.empty() || in.cluster.metadata.is_paused())
    return {Nothing{}, in.cluster.status.roll};
  const auto candidates = outdated_pods(in);
  api::RollStatus roll = progress_of(in, candidates);
  if (const ObservedPod* pod = down(in, roll.node_id, candidates))
    return begin(in, std::move(roll), *pod);
  if (roll.node_id) {
    const ObservedPod* pod = find_pod(in, *roll.node_id);
    const bool untouched = pod && pod->uid == roll.pod_uid && !pod->deleting;
    // Decided and not deleted yet, because the operator was killed in between: this node and no
    // other, if it still may go.
    if (untouched && outdated(in, *pod)) return next(in, std::move(roll), {pod});
    if (!untouched) {
      if (auto why = not_back(in, roll)) return wait(std::move(roll), std::move(*why));
      if (has_role(in, *roll.node_id, api::Role::kBroker)) {
        if (auto step = restore_leaders(in, roll)) return std::move(*step);
      }
      ++roll.done;
    }
    roll.node_id.reset();
    roll.pod_uid.clear();
    roll.broker_epoch = -1;
    roll.restoring_since.clear();
  }
  if (candidates.empty()) return {Nothing{}, std::nullopt};
  return next(in, std::move(roll), candidates);
}

}  // namespace op::plan
