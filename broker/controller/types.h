#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/rate.h"
#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/common/time.h"
#include "broker/config/config_def.h"
#include "broker/metadata/image.h"
#include "broker/metadata/record.h"

namespace broker::controller {

class MutationQuota;
class PartitionIndex;
struct Caller;

struct DelegationTokenOptions {
  std::string secret_key;  // "" = there are none
  std::int64_t max_lifetime_ms = 604'800'000;
  std::int64_t expiry_time_ms = 86'400'000;
  std::int64_t expiry_check_interval_ms = 3'600'000;
};

/// From BrokerConfig; the same on all controllers.
struct ControllerOptions {
  BrokerId node_id;
  std::string cluster_id;
  std::int32_t default_num_partitions = 1;
  std::int16_t default_replication_factor = 1;
  bool delete_topic_enable = true;
  /// False on nodes that are no voters: such a Controller only turns the committed log into images.
  bool may_be_active = true;
  std::int64_t session_timeout_ms = 9000;
  /// How long a broker whose heartbeat connection broke may take to come back before it is fenced;
  /// grows when that happens again and again.
  std::int64_t connection_loss_grace_ms = 100;
  bool auto_leader_rebalance_enable = true;
  std::int64_t leader_imbalance_check_interval_ms = 300'000;
  std::int64_t unclean_leader_election_interval_ms = 300'000;
  /// A NoOpRecord after so long without any record; 0: never, so that an idle cluster writes
  /// nothing. Nothing here needs them: followers and observers learn the high watermark from their
  /// parked fetches. They are for tools that watch the lag of Kafka's metadata.
  std::int64_t max_idle_interval_ms = 0;
  DelegationTokenOptions delegation_tokens;
  config::ConfigMap static_values;  // for the configs in CreateTopics' answer
  /// Written when the log is empty: the records of bootstrap.checkpoint.
  metadata::MetadataRecords bootstrap_records;
  RateWindow mutation_window;  // controller.quota.window.num, .size.seconds
  std::uint64_t seed = 0;      // of topic ids, placement and ACL ids
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
  const PartitionIndex& partitions;         // of `image`
  MutationQuota* mutation_quota = nullptr;  // of the client that asks; null: without a limit
  const Caller* caller = nullptr;           // null: a node for itself
  WallMs wall_now = 0;

  /// Before partitions are made or deleted. Error kThrottlingQuotaExceeded.
  Result<void> charge_partitions(std::size_t count) const;
};

/// Records to append, and the answer that waits until they are committed.
template <class Response>
struct ControllerResult {
  metadata::MetadataRecords records;
  Response response;
  /// False: each record is right without the next, so that very many may go into several batches.
  bool atomic = true;
  std::string
      note;  // a line for the log: why a request was refused, what was decided; may be empty
};

}  // namespace broker::controller
