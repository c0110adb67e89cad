#include "broker/handlers/nodes.h"

namespace broker::handlers {

std::vector<std::int32_t> raw_ids(const std::vector<BrokerId>& ids) {
  std::vector<std::int32_t> raw;
  raw.reserve(ids.size());
  for (const BrokerId id : ids) raw.push_back(id.value);
  return raw;
}

std::vector<std::int32_t> offline_replicas(const metadata::MetadataImage& image,
                                           const metadata::PartitionRegistration& partition,
                                           const std::string& listener) {
  std::vector<std::int32_t> offline;
  for (const BrokerId id : partition.replicas) {
    const auto* broker = image.cluster.broker(id);
    if (broker == nullptr || broker->fenced || broker->find_endpoint(listener) == nullptr ||
        !broker->has_online_dir(partition.directory_of(id))) {
      offline.push_back(id.value);
    }
  }
  return offline;
}

}  // namespace broker::handlers
