#include "operator/kafka/changes.h"

#include <set>

namespace op::kafka {
namespace {

namespace metadata = broker::metadata;

std::vector<std::string> listed(const std::set<std::string>& names) {
  return {names.begin(), names.end()};
}

std::vector<std::string> topics(const metadata::MetadataChanges& changes,
                                const metadata::MetadataImage& after) {
  std::set<std::string> names;
  for (const auto& [id, name] : changes.topics_created) names.insert(name);
  for (const auto& [id, name] : changes.topics_deleted) names.insert(name);
  for (const auto& [id, partitions] : changes.partitions) {
    if (const auto* topic = after.topics.find(id)) names.insert(topic->name);
  }
  for (const auto& resource : changes.configs) {
    if (resource.type == metadata::ConfigResourceType::kTopic) names.insert(resource.name);
  }
  return listed(names);
}

std::vector<std::string> users(const metadata::MetadataChanges& changes) {
  std::set<std::string> names;
  for (const auto& [user, mechanism] : changes.scram) names.insert(user);
  for (const auto& entity : changes.client_quotas) {
    for (const auto& [type, name] : entity) {
      if (type == "user" && name) names.insert(*name);
    }
  }
  return listed(names);
}

std::vector<std::string> principals(const metadata::MetadataChanges& changes,
                                    const metadata::MetadataImage& before,
                                    const metadata::MetadataImage& after) {
  std::set<std::string> names;
  for (const broker::Uuid& id : changes.acls) {
    for (const auto* image : {&before, &after}) {
      if (const auto* binding = image->acls.by_id.find(id)) names.insert(binding->principal);
    }
  }
  return listed(names);
}

bool brokers(const metadata::MetadataChanges& changes) {
  if (changes.features || !changes.brokers.empty() || !changes.controllers.empty()) return true;
  for (const auto& resource : changes.configs) {
    if (resource.type == metadata::ConfigResourceType::kBroker) return true;
  }
  return false;
}

/// How well a partition is replicated, as far as anybody waits for it to change.
struct Standing {
  bool whole = true;
  bool offline = false;
  bool moving = false;
  bool as_preferred = true;  // led by its first replica
  std::size_t in_sync = 0;   // only while it is not whole

  bool operator==(const Standing&) const = default;
};

Standing standing_of(const metadata::MetadataImage& image, const broker::TopicId& topic,
                     std::int32_t index) {
  const auto* partition = image.topics.partition(topic, index);
  Standing out;
  if (partition == nullptr) return out;
  out.whole = partition->isr.size() >= partition->replicas.size();
  out.offline = partition->leader == metadata::kNoLeader;
  out.as_preferred =
      !partition->replicas.empty() && partition->leader == partition->replicas.front();
  out.moving = !partition->adding_replicas.empty() || !partition->removing_replicas.empty();
  if (!out.whole) out.in_sync = partition->isr.size();
  return out;
}

bool replication(const metadata::MetadataChanges& changes, const metadata::MetadataImage& before,
                 const metadata::MetadataImage& after) {
  for (const auto& [id, partitions] : changes.partitions) {
    for (const std::int32_t index : partitions) {
      if (!(standing_of(before, id, index) == standing_of(after, id, index))) return true;
    }
  }
  return false;
}

}  // namespace

Changes name_changes(const metadata::MetadataChanges& changes,
                     const metadata::MetadataImage& before, const metadata::MetadataImage& after) {
  Changes named;
  named.topics = topics(changes, after);
  named.users = users(changes);
  named.principals = principals(changes, before, after);
  named.brokers = brokers(changes);
  named.replication = replication(changes, before, after);
  return named;
}

}  // namespace op::kafka
