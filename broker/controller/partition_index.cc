#include "broker/controller/partition_index.h"

#include <algorithm>

#include "broker/controller/partition_change.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;
using metadata::PartitionRegistration;

/// Each broker once: ISR, ELR and leader overlap.
std::vector<BrokerId> members_of(const PartitionRegistration& partition) {
  std::vector<BrokerId> ids = partition.isr;
  const auto add = [&](BrokerId id) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  };
  for (const BrokerId id : partition.elr) add(id);
  if (partition.leader != kNoLeader) add(partition.leader);
  return ids;
}

bool is_imbalanced(const PartitionRegistration& partition) {
  return !partition.replicas.empty() && partition.leader != partition.replicas.front();
}

}  // namespace

PartitionIndex::PartitionIndex(const metadata::TopicsImage& topics) {
  for (const auto& [id, topic] : topics.by_id)
    for (const auto& [index, partition] : topic.partitions) add({id, index}, partition);
}

void PartitionIndex::apply(const metadata::TopicsImage& before, const metadata::TopicsImage& after,
                           const metadata::MetadataChanges& changes) {
  for (const auto& [id, name] : changes.topics_deleted) {
    const metadata::TopicImage* topic = before.find(id);
    if (topic == nullptr) continue;
    for (const auto& [index, partition] : topic->partitions) remove({id, index}, partition);
  }
  for (const auto& [id, indexes] : changes.partitions) {
    const metadata::TopicImage* old_topic = before.find(id);
    const metadata::TopicImage* new_topic = after.find(id);
    for (const std::int32_t index : indexes) {
      const auto* from = old_topic == nullptr ? nullptr : old_topic->partitions.find(index);
      const auto* to = new_topic == nullptr ? nullptr : new_topic->partitions.find(index);
      if (from != nullptr) remove({id, index}, *from);
      if (to != nullptr) add({id, index}, *to);
    }
  }
}

std::vector<PartitionIndex::Key> PartitionIndex::partitions_of(BrokerId id) const {
  std::vector<Key> keys;
  const auto it = brokers_.find(id);
  if (it == brokers_.end()) return keys;
  for (const auto& [topic, indexes] : it->second.members)
    for (const std::int32_t index : indexes) keys.emplace_back(topic, index);
  return keys;
}

std::size_t PartitionIndex::leaderships(BrokerId id) const {
  const auto it = brokers_.find(id);
  return it == brokers_.end() ? 0 : it->second.leaderships;
}

void PartitionIndex::add(const Key& key, const PartitionRegistration& partition) {
  for (const BrokerId id : members_of(partition)) {
    auto& indexes = of(id).members[key.first];
    const auto at = std::lower_bound(indexes.begin(), indexes.end(), key.second);
    if (at == indexes.end() || *at != key.second) indexes.insert(at, key.second);
  }
  if (partition.leader == kNoLeader)
    leaderless_.insert(key);
  else
    ++of(partition.leader).leaderships;
  if (is_imbalanced(partition)) imbalanced_.insert(key);
  if (is_reassigning(partition)) reassigning_.insert(key);
}

void PartitionIndex::remove(const Key& key, const PartitionRegistration& partition) {
  if (partition.leader == kNoLeader)
    leaderless_.erase(key);
  else
    --of(partition.leader).leaderships;
  imbalanced_.erase(key);
  reassigning_.erase(key);
  for (const BrokerId id : members_of(partition)) {
    auto& members = of(id).members;
    const auto topic = members.find(key.first);
    if (topic == members.end()) continue;
    auto& indexes = topic->second;
    const auto at = std::lower_bound(indexes.begin(), indexes.end(), key.second);
    if (at != indexes.end() && *at == key.second) indexes.erase(at);
    if (indexes.empty()) members.erase(topic);
    drop_if_empty(id);
  }
}

void PartitionIndex::drop_if_empty(BrokerId id) {
  const auto it = brokers_.find(id);
  if (it != brokers_.end() && it->second.members.empty() && it->second.leaderships == 0)
    brokers_.erase(it);
}

}  // namespace broker::controller
