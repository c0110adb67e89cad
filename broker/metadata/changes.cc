#include "broker/metadata/delta.h"

namespace broker::metadata {

bool MetadataChanges::empty() const { return *this == MetadataChanges(); }

void MetadataChanges::merge(const MetadataChanges& later) {
  for (const auto& [id, name] : later.topics_created) topics_created[id] = name;
  for (const auto& [id, name] : later.topics_deleted) {
    partitions.erase(id);
    if (topics_created.erase(id) == 0) topics_deleted[id] = name;
  }
  for (const auto& [id, indexes] : later.partitions)
    partitions[id].insert(indexes.begin(), indexes.end());
  brokers.insert(later.brokers.begin(), later.brokers.end());
  controllers.insert(later.controllers.begin(), later.controllers.end());
  configs.insert(later.configs.begin(), later.configs.end());
  acls.insert(later.acls.begin(), later.acls.end());
  scram.insert(later.scram.begin(), later.scram.end());
  client_quotas.insert(later.client_quotas.begin(), later.client_quotas.end());
  features |= later.features;
  producer_ids |= later.producer_ids;
  delegation_tokens |= later.delegation_tokens;
}

namespace {

template <class Map, class Set>
void note_keys(const Map& from, const Map& to, Set& changed) {
  Map::diff(from, to, [&](const auto& key, const auto*, const auto*) { changed.insert(key); });
}

}  // namespace

MetadataChanges diff(const MetadataImage& from, const MetadataImage& to) {
  MetadataChanges out;
  using Topics = decltype(from.topics.by_id);
  Topics::diff(from.topics.by_id, to.topics.by_id,
               [&](const TopicId& id, const TopicImage* before, const TopicImage* after) {
                 if (before == nullptr) out.topics_created[id] = after->name;
                 if (after == nullptr) {
                   out.topics_deleted[id] = before->name;
                   return;
                 }
                 const TopicImage none;
                 std::set<std::int32_t> indexes;
                 note_keys((before == nullptr ? none : *before).partitions, after->partitions,
                           indexes);
                 if (!indexes.empty()) out.partitions[id] = std::move(indexes);
               });
  note_keys(from.cluster.brokers, to.cluster.brokers, out.brokers);
  note_keys(from.cluster.controllers, to.cluster.controllers, out.controllers);
  note_keys(from.configs.by_resource, to.configs.by_resource, out.configs);
  note_keys(from.acls.by_id, to.acls.by_id, out.acls);
  note_keys(from.scram.credentials, to.scram.credentials, out.scram);
  note_keys(from.client_quotas.by_entity, to.client_quotas.by_entity, out.client_quotas);
  out.features = !(from.features == to.features);
  out.producer_ids = from.next_producer_id != to.next_producer_id;
  out.delegation_tokens = !(from.delegation_tokens == to.delegation_tokens);
  return out;
}

}  // namespace broker::metadata
