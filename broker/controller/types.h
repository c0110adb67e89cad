#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/rng.h"
#include "broker/common/time.h"
#include "broker/config/config_def.h"
#include "broker/metadata/image.h"
#include "broker/metadata/record.h"

namespace broker::controller {

/// From BrokerConfig; the same on all controllers.
struct ControllerOptions {
  BrokerId node_id;
  std::string cluster_id;
  std::int32_t default_num_partitions = 1;
  std::int16_t default_replication_factor = 1;
  bool delete_topic_enable = true;
  std::int64_t session_timeout_ms = 9000;
  config::ConfigMap static_values;  // for the configs in CreateTopics' answer
  /// Written when the log is empty: the records of bootstrap.checkpoint.
  metadata::MetadataRecords bootstrap_records;
  std::uint64_t seed = 0;  // of topic ids, placement and ACL ids
  /// Where others reach this controller. Not empty: the active controller registers itself
  /// (KIP-919), under an incarnation drawn from the seed.
  std::vector<metadata::RegisteredEndpoint> endpoints;
};

/// What a decision may look at. The image contains everything appended so far.
struct DecideContext {
  const metadata::MetadataImage& image;
  const ControllerOptions& options;
  Rng& rng;
  Offset next_offset;  // of the first record of this decision
  Instant now;
};

/// Records to append, and the answer that waits until they are committed.
template <class Response>
struct ControllerResult {
  metadata::MetadataRecords records;
  Response response;
  std::string
      note;  // a line for the log: why a request was refused, what was decided; may be empty
};

}  // namespace broker::controller
