#include "broker/controller/partition_change.h"

#include <algorithm>

#include "broker/metadata/effective_configs.h"

namespace broker::controller {

using metadata::kNoLeader;
using metadata::LeaderRecoveryState;

PartitionChange::PartitionChange(const metadata::ClusterImage& cluster, const TopicId& topic,
                                 std::int32_t index,
                                 const metadata::PartitionRegistration& partition)
    : cluster_(cluster),
      topic_(topic),
      index_(index),
      partition_(partition),
      isr_(partition.isr),
      recovery_state_(partition.leader_recovery_state) {}

PartitionChange& PartitionChange::expect(Expected expected) {
  expected_ = expected;
  if (expected.leaving) remove_from_isr(*expected.leaving);
  return *this;
}

PartitionChange& PartitionChange::elect(Election election) {
  election_ = election;
  return *this;
}

PartitionChange& PartitionChange::set_isr(std::vector<BrokerId> isr) {
  isr_ = std::move(isr);
  return *this;
}

PartitionChange& PartitionChange::remove_from_isr(BrokerId id) {
  std::erase(isr_, id);
  return *this;
}

PartitionChange& PartitionChange::set_recovery_state(LeaderRecoveryState state) {
  recovery_state_ = state;
  return *this;
}

bool PartitionChange::can_lead(BrokerId id) const {
  if (id == expected_.leaving) return false;
  const metadata::BrokerRegistration* broker = cluster_.broker(id);
  if (broker == nullptr || !broker->has_online_dir(partition_.directory_of(id))) return false;
  return id == expected_.returning || cluster_.is_active(id);
}

bool PartitionChange::in_target_isr(BrokerId id) const {
  return std::find(isr_.begin(), isr_.end(), id) != isr_.end();
}

BrokerId PartitionChange::choose_leader(bool& unclean) const {
  const auto clean = [&](BrokerId id) { return in_target_isr(id) && can_lead(id); };
  const auto& replicas = partition_.replicas;
  if (election_ == Election::kPreferred && !replicas.empty() && clean(replicas.front()))
    return replicas.front();
  if (partition_.leader != kNoLeader && clean(partition_.leader)) return partition_.leader;
  if (const auto it = std::find_if(replicas.begin(), replicas.end(), clean); it != replicas.end())
    return *it;
  if (election_ != Election::kUnclean) return kNoLeader;
  const auto it =
      std::find_if(replicas.begin(), replicas.end(), [&](BrokerId id) { return can_lead(id); });
  if (it == replicas.end()) return kNoLeader;
  unclean = true;
  return *it;
}

std::optional<protocol::PartitionChangeRecord> PartitionChange::build() {
  protocol::PartitionChangeRecord record;
  record.topic_id = topic_;
  record.partition_id = index_;
  bool changed = false;
  bool unclean = false;
  const BrokerId leader = choose_leader(unclean);
  if (unclean) {
    isr_ = {leader};
    recovery_state_ = LeaderRecoveryState::kRecovering;
  }
  if (leader != partition_.leader) {
    record.leader = leader.value;
    changed = true;
  }
  if (!isr_.empty() && isr_ != partition_.isr) {
    record.isr = to_numbers(isr_);
    changed = true;
  }
  if (recovery_state_ != partition_.leader_recovery_state) {
    record.leader_recovery_state = static_cast<std::int8_t>(recovery_state_);
    changed = true;
  }
  return changed ? std::optional(std::move(record)) : std::nullopt;
}

void add_changes_for(const metadata::MetadataImage& image, const ControllerOptions& options,
                     Expected expected, metadata::MetadataRecords& records) {
  const metadata::EffectiveConfigs configs(image.configs, options.node_id, options.static_values);
  for (const auto& [id, topic] : image.topics.by_id) {
    std::optional<bool> unclean;  // looked up once per topic, and only if it matters
    for (const auto& [index, partition] : topic.partitions) {
      const bool leaves = expected.leaving && (partition.in_isr(*expected.leaving) ||
                                               partition.leader == *expected.leaving);
      const bool waits = expected.returning && partition.leader == kNoLeader &&
                         partition.has_replica(*expected.returning);
      if (!leaves && !waits) continue;
      if (!unclean) unclean = configs.topic(topic.name).unclean_leader_election_enable;
      auto record = PartitionChange(image.cluster, id, index, partition)
                        .expect(expected)
                        .elect(*unclean ? Election::kUnclean : Election::kOnline)
                        .build();
      if (record) records.emplace_back(std::move(*record));
    }
  }
}

std::vector<std::int32_t> to_numbers(const std::vector<BrokerId>& ids) {
  std::vector<std::int32_t> out;
  out.reserve(ids.size());
  for (const BrokerId id : ids) out.push_back(id.value);
  return out;
}

}  // namespace broker::controller
