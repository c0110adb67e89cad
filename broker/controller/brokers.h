#pragma once

#include "broker/controller/heartbeats.h"
#include "broker/controller/types.h"
#include "broker/protocol/messages/broker_heartbeat_request.h"
#include "broker/protocol/messages/broker_heartbeat_response.h"
#include "broker/protocol/messages/broker_registration_request.h"
#include "broker/protocol/messages/broker_registration_response.h"
#include "broker/protocol/messages/unregister_broker_request.h"
#include "broker/protocol/messages/unregister_broker_response.h"

namespace broker::controller {

/// Errors in the response: kInconsistentClusterId, kDuplicateBrokerRegistration,
/// kUnsupportedVersion, kInvalidRegistration (KIP-631, KIP-858). A restarted broker (new
/// incarnation) comes back fenced, and out of every ISR that has another member.
ControllerResult<protocol::BrokerRegistrationResponse> decide(
    const DecideContext& context, const BrokerHeartbeats& heartbeats,
    const protocol::BrokerRegistrationRequest& request);

/// Moves the broker between fenced, unfenced, controlled shutdown and "stop now"; notes the contact
/// in `heartbeats`. Errors in the response: kBrokerIdNotRegistered, kStaleBrokerEpoch.
ControllerResult<protocol::BrokerHeartbeatResponse> decide(
    const DecideContext& context, BrokerHeartbeats& heartbeats,
    const protocol::BrokerHeartbeatRequest& request);

/// Errors in the response: kBrokerIdNotRegistered.
ControllerResult<protocol::UnregisterBrokerResponse> decide(
    const DecideContext& context, const protocol::UnregisterBrokerRequest& request);

/// Fences a broker whose session expired: out of all ISRs, leaders elsewhere.
metadata::MetadataRecords fence_broker(const DecideContext& context, BrokerId id);

}  // namespace broker::controller
