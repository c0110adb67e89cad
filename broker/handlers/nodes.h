#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/metadata/image.h"

namespace broker::handlers {

std::vector<std::int32_t> raw_ids(const std::vector<BrokerId>& ids);
/// Replicas on dead brokers, on brokers that `listener`'s clients cannot reach, or in dead
/// directories.
std::vector<std::int32_t> offline_replicas(const metadata::MetadataImage& image,
                                           const metadata::PartitionRegistration& partition,
                                           const std::string& listener);

}  // namespace broker::handlers
