#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/alter_partition_reassignments_request.h"
#include "broker/protocol/messages/alter_partition_reassignments_response.h"
#include "broker/protocol/messages/list_partition_reassignments_request.h"
#include "broker/protocol/messages/list_partition_reassignments_response.h"

namespace broker::controller {

/// Gives partitions new replicas, or takes a reassignment under way back (KIP-455, KIP-860). The
/// new ones are added to the old ones; PartitionChange drops the old ones once the new ones are in
/// sync. Errors per partition: kUnknownTopicOrPartition, kInvalidReplicaAssignment,
/// kInvalidReplicationFactor, kNoReassignmentInProgress.
ControllerResult<protocol::AlterPartitionReassignmentsResponse> decide(
    const DecideContext& context, const protocol::AlterPartitionReassignmentsRequest& request);

/// What is under way; partitions that are not, or do not exist, are left out.
ControllerResult<protocol::ListPartitionReassignmentsResponse> decide(
    const DecideContext& context, const protocol::ListPartitionReassignmentsRequest& request);

}  // namespace broker::controller
