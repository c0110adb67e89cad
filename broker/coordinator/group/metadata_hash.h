#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "broker/metadata/image.h"

namespace broker::coordinator::group {

/// What a group's assignment depends on, in one number: Kafka's XXH3 over ids, names, partitions
/// and racks of the subscribed topics that exist. 0 when none does.
std::int64_t metadata_hash(const std::set<std::string>& topics,
                           const metadata::MetadataImage& image);

}  // namespace broker::coordinator::group
