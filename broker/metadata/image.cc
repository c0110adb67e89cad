#include "broker/metadata/image.h"

#include <algorithm>

namespace broker::metadata {

const RegisteredEndpoint* BrokerRegistration::find_endpoint(std::string_view listener) const {
  for (const RegisteredEndpoint& endpoint : endpoints)
    if (endpoint.name == listener) return &endpoint;
  return nullptr;
}

bool BrokerRegistration::has_online_dir(const DirectoryId& directory) const {
  if (directory == kDirectoryLost) return false;
  // Registrations from before directories were assigned list none: nothing is known to be offline.
  if (directory == kDirectoryUnassigned || directory == kDirectoryMigrating || log_dirs.empty())
    return true;
  return std::find(log_dirs.begin(), log_dirs.end(), directory) != log_dirs.end();
}

bool ClusterImage::is_alive(BrokerId id) const {
  const BrokerRegistration* registration = brokers.find(id);
  return registration != nullptr && !registration->fenced;
}

bool ClusterImage::is_active(BrokerId id) const {
  const BrokerRegistration* registration = brokers.find(id);
  return registration != nullptr && !registration->fenced && !registration->in_controlled_shutdown;
}

bool PartitionRegistration::has_replica(BrokerId id) const {
  return std::find(replicas.begin(), replicas.end(), id) != replicas.end();
}

bool PartitionRegistration::in_isr(BrokerId id) const {
  return std::find(isr.begin(), isr.end(), id) != isr.end();
}

DirectoryId PartitionRegistration::directory_of(BrokerId id) const {
  const auto it = std::find(replicas.begin(), replicas.end(), id);
  const auto index = static_cast<std::size_t>(it - replicas.begin());
  return index < directories.size() ? directories[index] : kDirectoryUnassigned;
}

const TopicImage* TopicsImage::find(std::string_view name) const {
  const TopicId* id = ids.find(name);
  return id == nullptr ? nullptr : by_id.find(*id);
}

const PartitionRegistration* TopicsImage::partition(const TopicId& id, std::int32_t index) const {
  const TopicImage* topic = by_id.find(id);
  return topic == nullptr ? nullptr : topic->partitions.find(index);
}

const config::ConfigMap& ConfigsImage::of(const ConfigResource& resource) const {
  static const config::ConfigMap kNone;
  const config::ConfigMap* found = by_resource.find(resource);
  return found == nullptr ? kNone : *found;
}

std::shared_ptr<const MetadataImage> MetadataImage::empty() {
  static const auto kEmpty = std::make_shared<const MetadataImage>();
  return kEmpty;
}

}  // namespace broker::metadata
