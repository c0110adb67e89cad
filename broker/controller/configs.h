#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/alter_configs_request.h"
#include "broker/protocol/messages/alter_configs_response.h"
#include "broker/protocol/messages/incremental_alter_configs_request.h"
#include "broker/protocol/messages/incremental_alter_configs_response.h"

namespace broker::controller {

/// Each resource succeeds or fails as a whole, by itself. Topics, brokers (and the cluster-wide
/// default) and groups; loggers and client metrics are refused with INVALID_REQUEST.
ControllerResult<protocol::IncrementalAlterConfigsResponse> decide(
    const DecideContext& context, const protocol::IncrementalAlterConfigsRequest& request);
/// Replaces all keys of a resource: what is not named goes back to its default.
ControllerResult<protocol::AlterConfigsResponse> decide(
    const DecideContext& context, const protocol::AlterConfigsRequest& request);

}  // namespace broker::controller
