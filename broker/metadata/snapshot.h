#pragma once

#include "broker/metadata/image.h"
#include "broker/metadata/record.h"

namespace broker::metadata {

/// The records that build `image` from nothing, in Kafka's order: features (metadata.version
/// first), brokers, controllers, topics with their partitions, configs, client quotas, producer
/// ids, ACLs, SCRAM credentials, delegation tokens.
MetadataRecords image_records(const MetadataImage& image);

}  // namespace broker::metadata
