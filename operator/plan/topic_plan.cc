#include "operator/plan/topic_plan.h"

#include <algorithm>

#include "operator/api/validate.h"
#include "operator/plan/common.h"
#include "operator/plan/progress.h"

namespace op::plan {

using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::TopicImage;

namespace {

namespace reason = api::reason;

const broker::config::ConfigMap& configs_of(const TopicInput& in, const std::string& name) {
  return in.image.configs.of(ConfigResource{ConfigResourceType::kTopic, name});
}

void set_blocked(TopicPlan& plan, const TopicInput& in, const Verdict& verdict) {
  if (detail::is_news(plan.status.conditions, verdict)) plan.event = verdict;
  set_ready(plan.status.conditions, false, verdict, in.topic.metadata.generation, in.now);
}

/// Only the topic that this resource has written to or adopted is deleted, known by its id: one
/// that somebody made later under the same name is not ours.
TopicPlan plan_deletion(const TopicInput& in) {
  TopicPlan plan;
  plan.status = in.topic.status;
  const api::TopicStatus& known = in.topic.status;
  if (in.topic.spec.on_delete != api::DeletePolicy::kDelete ||
      !in.topic.metadata.has_finalizer(api::kFinalizer) || in.older || known.topic_id.empty() ||
      known.cluster_id != in.cluster_id)
    return plan;
  const TopicImage* topic = in.image.topics.find(known.topic_name);
  if (!topic || topic->id.to_string() != known.topic_id) return plan;
  plan.wants_finalizer = true;
  plan.actions.push_back(DeleteTopic{known.topic_name});
  set_blocked(
      plan, in,
      in.rejection.value_or(Verdict{reason::kDeleting, "deleting topic " + known.topic_name}));
  return plan;
}

std::optional<Verdict> first_obstacle(const TopicInput& in) {
  if (const auto errors = api::validate(in.topic); !errors.empty())
    return Verdict{errors.front().reason, api::to_string(errors)};
  if (in.not_admitted) return in.not_admitted;
  if (in.older)
    return Verdict{reason::kConflict,
                   "Topic " + to_string(*in.older) + " is older and declares the same topic"};
  return detail::cluster_id_changed(in.topic.status.cluster_id, in.cluster_id,
                                    in.acknowledged_cluster_id, in.topic.metadata);
}

std::int32_t alive_brokers(const TopicInput& in) {
  std::int32_t count = 0;
  for (const auto& [id, broker] : in.image.cluster.brokers)
    if (!broker.fenced) ++count;
  return count;
}

void plan_creation(TopicPlan& plan, const TopicInput& in) {
  const api::TopicSpec& spec = in.topic.spec;
  const bool known = !plan.status.topic_id.empty();
  if (known && spec.on_missing == api::MissingPolicy::kReport) {
    set_blocked(
        plan, in,
        {reason::kDeletedOutside,
         "topic " + spec.name +
             " was deleted by somebody else; set onMissing: Recreate to have an empty one"});
    return;
  }
  const std::int32_t brokers = alive_brokers(in);
  if (spec.replication_factor && brokers > 0 && *spec.replication_factor > brokers) {
    set_blocked(plan, in,
                {reason::kInvalid,
                 "spec.replicationFactor: " + std::to_string(*spec.replication_factor) +
                     " is more than the brokers there are (" + std::to_string(brokers) + ")"});
    return;
  }
  CreateTopic create{spec.name,
                     spec.partitions.value_or(-1),
                     static_cast<std::int16_t>(spec.replication_factor.value_or(-1)),
                     {spec.config.begin(), spec.config.end()}};
  plan.actions.push_back(std::move(create));
  const Verdict doing{reason::kApplying,
                      known ? "creating topic " + spec.name + " again after somebody deleted it"
                            : "creating topic " + spec.name};
  plan.status.owned_keys.clear();
  for (const auto& [key, value] : spec.config) plan.status.owned_keys.push_back(key);
  if (in.rejection) return set_blocked(plan, in, *in.rejection);
  plan.event = doing;
  set_ready(plan.status.conditions, false, doing, in.topic.metadata.generation, in.now);
}

/// Keys that the spec names, or named before and that are still set.
void plan_configs(TopicPlan& plan, const TopicInput& in) {
  const api::TopicSpec& spec = in.topic.spec;
  const auto& actual = configs_of(in, spec.name);
  AlterTopicConfigs alter{spec.name, {}};
  std::vector<std::string> owned;
  for (const auto& [key, value] : spec.config) {
    owned.push_back(key);
    const auto it = actual.find(key);
    if (it == actual.end() || it->second != value) alter.changes.emplace_back(key, value);
  }
  for (const std::string& key : in.topic.status.owned_keys) {
    if (spec.config.contains(key) || !actual.contains(key)) continue;
    owned.push_back(key);
    alter.changes.emplace_back(key, std::nullopt);
  }
  std::sort(owned.begin(), owned.end());
  plan.status.owned_keys = std::move(owned);
  if (!alter.changes.empty()) plan.actions.push_back(std::move(alter));
}

std::optional<Verdict> plan_partitions(TopicPlan& plan, const TopicInput& in, std::int32_t actual) {
  const api::TopicSpec& spec = in.topic.spec;
  if (!spec.partitions || *spec.partitions == actual) return std::nullopt;
  if (*spec.partitions > actual) {
    plan.actions.push_back(CreatePartitions{spec.name, *spec.partitions});
    return std::nullopt;
  }
  return Verdict{reason::kPartitionsCannotShrink,
                 "spec.partitions: the topic has " + detail::counted(actual, "partition") +
                     ", which cannot become " + std::to_string(*spec.partitions)};
}

/// Partitions of a topic that are given more replicas, or fewer, at the same time.
constexpr std::size_t kResizedAtOnce = 20;

/// What is still to be copied until every partition has `wanted` replicas.
std::int64_t bytes_left(const TopicInput& in, const TopicImage& topic, std::size_t wanted) {
  std::int64_t out = 0;
  if (in.bytes == nullptr) return out;
  for (const auto& [index, partition] : topic.partitions) {
    const std::size_t have = target_replicas(partition).size();
    std::size_t copies = partition.adding_replicas.size();
    if (!is_moving(partition) && have < wanted) copies = wanted - have;
    out += bytes_of(*in.bytes, topic.name, index) * static_cast<std::int64_t>(copies);
  }
  return out;
}

/// For status and for the message of it.
std::string fill_progress(TopicPlan& plan, const TopicInput& in, std::int64_t done,
                          std::int64_t total, std::int64_t left) {
  const api::MoveProgress before = plan.status.progress.value_or(api::MoveProgress{});
  api::MoveProgress now = before;
  if (now.started_at.empty()) now.started_at = in.now;
  now.moved_partitions = done;
  now.total_partitions = total;
  if (in.bytes != nullptr) {
    now.total_bytes = std::max(before.total_bytes, left);
    now.moved_bytes = now.total_bytes - left;
  }
  if (now.moved_partitions != before.moved_partitions || now.moved_bytes != before.moved_bytes)
    now.eta = now.total_bytes > 0
                  ? estimate(now.moved_bytes, now.total_bytes, now.started_at, in.now)
                  : estimate(done, total, now.started_at, in.now);
  std::string text;
  if (now.total_bytes > 0)
    text = ", " + human_bytes(now.moved_bytes) + " of " + human_bytes(now.total_bytes) + " copied";
  if (!now.eta.empty()) text += ", about " + now.eta + " left";
  plan.status.progress = std::move(now);
  return text;
}

/// A change of the replication factor is a reassignment, a few partitions at a time. `under_way`
/// says how far it is; returned is what stands in its way.
std::optional<Verdict> plan_replicas(TopicPlan& plan, const TopicInput& in,
                                     const TopicImage& actual, std::optional<Verdict>& under_way) {
  if (!in.topic.spec.replication_factor) {
    plan.status.progress.reset();
    return std::nullopt;
  }
  const auto wanted = static_cast<std::size_t>(*in.topic.spec.replication_factor);
  std::size_t done = 0;
  std::size_t moving = 0;
  std::size_t to_go = 0;
  for (const auto& [index, partition] : actual.partitions) {
    const bool fits = target_replicas(partition).size() == wanted;
    // One that only goes elsewhere is as it should be.
    const bool resizing = partition.adding_replicas.size() != partition.removing_replicas.size();
    done += fits && !resizing ? 1 : 0;
    to_go += fits ? 0 : 1;
    moving += is_moving(partition) ? 1 : 0;
  }
  const std::size_t total = actual.partitions.size();
  if (done == total) {
    plan.status.progress.reset();
    return std::nullopt;
  }
  ReplicaMover mover(in.image, {});
  if (to_go > 0 && wanted > mover.candidates())
    return Verdict{reason::kInvalid, "spec.replicationFactor: " + std::to_string(wanted) +
                                         " is more than the brokers that can take replicas (" +
                                         std::to_string(mover.candidates()) + ")"};
  const std::string progress =
      fill_progress(plan, in, static_cast<std::int64_t>(done), static_cast<std::int64_t>(total),
                    bytes_left(in, actual, wanted));
  under_way = Verdict{
      reason::kApplying,
      "changing to " + detail::counted(static_cast<std::int64_t>(wanted), "replica") + ": " +
          std::to_string(done) + " of " +
          detail::counted(static_cast<std::int64_t>(total), "partition") + " done" + progress};
  const std::size_t free = kResizedAtOnce - std::min(kResizedAtOnce, moving);
  auto moves = mover.resize(actual, wanted, free);
  if (!moves.empty()) plan.actions.push_back(MoveReplicas{std::move(moves)});
  return std::nullopt;
}

std::string describe(const std::vector<TopicAction>& actions) {
  std::string out;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  for (const TopicAction& action : actions) {
    if (const auto* grow = std::get_if<CreatePartitions>(&action))
      add("growing to " + detail::counted(grow->total_count, "partition"));
    if (const auto* alter = std::get_if<AlterTopicConfigs>(&action)) {
      for (const auto& [key, value] : alter->changes)
        add(value ? "setting " + key + "=" + *value : "resetting " + key);
    }
    if (const auto* move = std::get_if<MoveReplicas>(&action))
      add("changing the replicas of " +
          detail::counted(static_cast<std::int64_t>(move->moves.size()), "partition"));
  }
  return out;
}

void judge(TopicPlan& plan, const TopicInput& in, const std::optional<Verdict>& obstacle,
           const std::optional<Verdict>& under_way) {
  const std::int64_t generation = in.topic.metadata.generation;
  auto& conditions = plan.status.conditions;
  if (obstacle) return set_blocked(plan, in, *obstacle);
  if (plan.actions.empty() && under_way)
    return set_ready(conditions, false, *under_way, generation, in.now);
  if (plan.actions.empty()) {
    set_ready(conditions, true,
              {reason::kReady, detail::counted(plan.status.partitions, "partition") + ", " +
                                   detail::counted(plan.status.replication_factor, "replica")},
              generation, in.now);
    return;
  }
  if (in.rejection) return set_blocked(plan, in, *in.rejection);
  const Verdict doing = under_way.value_or(Verdict{reason::kApplying, describe(plan.actions)});
  plan.event = doing;
  // Drift of a topic that was Ready is repaired before anybody could read a status about it.
  const api::Condition* ready = api::find_condition(conditions, api::condition::kReady);
  if (is_ready(conditions) && ready->observed_generation == generation) return;
  set_ready(conditions, false, doing, generation, in.now);
}

}  // namespace

TopicPlan plan_topic(const TopicInput& in) {
  const api::Topic& topic = in.topic;
  TopicPlan plan;
  plan.status = topic.status;
  plan.wants_finalizer = topic.metadata.has_finalizer(api::kFinalizer);
  if (topic.metadata.is_paused()) return plan;
  if (topic.metadata.is_deleting()) return plan_deletion(in);

  plan.wants_finalizer = topic.spec.on_delete == api::DeletePolicy::kDelete;
  detail::begin_status(plan.status, topic.metadata);
  if (const auto obstacle = first_obstacle(in)) {
    set_blocked(plan, in, *obstacle);
    return plan;
  }
  if (plan.status.cluster_id != in.cluster_id) {  // first contact, or acknowledged
    plan.status.topic_id.clear();
    plan.status.cluster_id = in.cluster_id;
  }
  plan.status.topic_name = topic.spec.name;
  const TopicImage* actual = in.image.topics.find(topic.spec.name);
  if (!actual) {
    plan.status.progress.reset();
    plan_creation(plan, in);
    return plan;
  }
  plan.status.topic_id = actual->id.to_string();
  plan.status.partitions = static_cast<std::int32_t>(actual->partitions.size());
  const auto* first = actual->partitions.find(0);
  plan.status.replication_factor =
      first ? static_cast<std::int32_t>(target_replicas(*first).size()) : 0;
  auto obstacle = plan_partitions(plan, in, plan.status.partitions);
  plan_configs(plan, in);
  std::optional<Verdict> under_way;
  if (!obstacle) obstacle = plan_replicas(plan, in, *actual, under_way);
  judge(plan, in, obstacle, under_way);
  return plan;
}

bool is_older(const api::ObjectMeta& a, const api::ObjectMeta& b) {
  if (a.creation_timestamp != b.creation_timestamp)
    return a.creation_timestamp < b.creation_timestamp;
  return a.object_name() < b.object_name();
}

}  // namespace op::plan
