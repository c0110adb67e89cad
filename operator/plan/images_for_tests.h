#pragma once

#include <string>
#include <vector>

#include "broker/metadata/image.h"

// Images of clusters, for tests only.
namespace op::plan {

using Ids = std::vector<std::int32_t>;

inline std::vector<broker::BrokerId> to_brokers(const Ids& ids) {
  std::vector<broker::BrokerId> out;
  for (const std::int32_t id : ids) out.push_back(broker::BrokerId{id});
  return out;
}

inline void add_broker(broker::metadata::MetadataImage& image, std::int32_t id,
                       const std::string& rack = "") {
  broker::metadata::BrokerRegistration broker;
  broker.id = broker::BrokerId{id};
  broker.fenced = false;
  broker.log_dirs = {broker::Uuid{7, static_cast<std::uint64_t>(id)}};
  if (!rack.empty()) broker.rack = rack;
  image.cluster.brokers.set(broker.id, broker);
}

inline void add_topic(broker::metadata::MetadataImage& image, const std::string& name,
                      const std::vector<Ids>& partitions) {
  broker::metadata::TopicImage topic{name, broker::Uuid{1, image.topics.ids.size() + 1}, {}};
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    broker::metadata::PartitionRegistration partition;
    partition.replicas = partition.isr = to_brokers(partitions[i]);
    partition.leader = partition.replicas.front();
    topic.partitions.set(static_cast<std::int32_t>(i), partition);
  }
  image.topics.by_id.set(topic.id, topic);
  image.topics.ids.set(name, topic.id);
}

inline broker::metadata::PartitionRegistration partition_of(
    const broker::metadata::MetadataImage& image, const std::string& topic, std::int32_t index) {
  return *image.topics.find(topic)->partitions.find(index);
}

inline void put_partition(broker::metadata::MetadataImage& image, const std::string& name,
                          std::int32_t index,
                          const broker::metadata::PartitionRegistration& partition) {
  broker::metadata::TopicImage topic = *image.topics.find(name);
  topic.partitions.set(index, partition);
  image.topics.by_id.set(topic.id, topic);
}

}  // namespace op::plan
