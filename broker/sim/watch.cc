#include "broker/sim/watch.h"

#include <string>

namespace broker::sim {

void Watch::look() {
  for (const auto& node : cluster_.nodes()) {
    if (node->node() == nullptr) {
      seen_.erase(node->id());
      continue;
    }
    metadata::ImagePtr image = node->node()->image();
    metadata::ImagePtr& seen = seen_[node->id()];
    if (seen == image) continue;
    look_at(*node, *image);
    for (const auto& [id, other] : seen_)
      if (id != node->id() && other != nullptr) compare(*image, *other);
    seen = std::move(image);
  }
}

void Watch::look_at(const SimNode& node, const metadata::MetadataImage& image) {
  for (const auto& [id, topic] : image.topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const auto who = [&, &name = topic.name, number = index] {
        return " of " + to_string(TopicPartition{name, number}) + " as n" +
               std::to_string(node.id()) + " has it";
      };
      const auto [state, is_new] = by_partition_epoch_.try_emplace(
          Decision{id, index, partition.partition_epoch.value}, partition);
      if (!is_new && state->second != partition)
        history_.violation("another state in partition epoch " +
                           std::to_string(partition.partition_epoch.value) + who());
      const auto [leader, is_first] =
          leaders_.try_emplace(Decision{id, index, partition.leader_epoch.value}, partition.leader);
      if (!is_first && leader->second != partition.leader)
        history_.violation("another leader in leader epoch " +
                           std::to_string(partition.leader_epoch.value) + who());
    }
  }
}

void Watch::compare(const metadata::MetadataImage& a, const metadata::MetadataImage& b) {
  if (a.provenance.offset != b.provenance.offset) return;
  const bool same = a.features == b.features && a.cluster == b.cluster && a.topics == b.topics &&
                    a.configs == b.configs && a.next_producer_id == b.next_producer_id;
  if (!same)
    history_.violation("two nodes have another state of the cluster at metadata offset " +
                       std::to_string(a.provenance.offset.value));
}

}  // namespace broker::sim
