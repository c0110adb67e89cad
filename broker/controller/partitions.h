#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/alter_partition_request.h"
#include "broker/protocol/messages/alter_partition_response.h"
#include "broker/protocol/messages/elect_leaders_request.h"
#include "broker/protocol/messages/elect_leaders_response.h"

namespace broker::controller {

/// A leader reports who is in sync. Checks in Kafka's order, because leaders act on the code:
/// kNotController (their state is newer than ours), kFencedLeaderEpoch, kInvalidRequest,
/// kInvalidUpdateVersion, kIneligibleReplica.
ControllerResult<protocol::AlterPartitionResponse> decide(
    const DecideContext& context, const protocol::AlterPartitionRequest& request);

/// Preferred (0) or unclean (1) elections; no list means every partition that needs one.
ControllerResult<protocol::ElectLeadersResponse> decide(
    const DecideContext& context, const protocol::ElectLeadersRequest& request);

/// Leadership to the first replica wherever that can have it (auto.leader.rebalance.enable).
metadata::MetadataRecords elect_preferred_leaders(const DecideContext& context,
                                                  std::size_t at_most);
/// Leaders for partitions that have none and whose topics would rather lose records.
metadata::MetadataRecords elect_unclean_leaders(const DecideContext& context, std::size_t at_most);

}  // namespace broker::controller
