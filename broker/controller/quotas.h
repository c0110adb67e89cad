#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/alter_client_quotas_request.h"
#include "broker/protocol/messages/alter_client_quotas_response.h"

namespace broker::controller {

/// Sets and removes quotas of users, client ids and addresses (KIP-546). Each entity succeeds or
/// fails as a whole, by itself. Errors per entry: kInvalidRequest, with Kafka's sentence.
ControllerResult<protocol::AlterClientQuotasResponse> decide(
    const DecideContext& context, const protocol::AlterClientQuotasRequest& request);

}  // namespace broker::controller
