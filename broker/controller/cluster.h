#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/allocate_producer_ids_request.h"
#include "broker/protocol/messages/allocate_producer_ids_response.h"
#include "broker/protocol/messages/update_features_request.h"
#include "broker/protocol/messages/update_features_response.h"

namespace broker::controller {

inline constexpr std::int32_t kProducerIdBlock = 1000;

/// The next block of producer ids. Errors in the response: kStaleBrokerEpoch,
/// kBrokerIdNotRegistered.
ControllerResult<protocol::AllocateProducerIdsResponse> decide(
    const DecideContext& context, const protocol::AllocateProducerIdsRequest& request);

/// Moves feature levels, as far as all registered nodes go (KIP-584). A downgrade has to be asked
/// for, and is refused when records would be lost; so are kraft.version and features that are not
/// implemented. One refusal refuses the request.
ControllerResult<protocol::UpdateFeaturesResponse> decide(
    const DecideContext& context, const protocol::UpdateFeaturesRequest& request);

/// What the first leader writes into an empty log: the bootstrap records and what the features
/// among them need, in a metadata transaction where the metadata.version among them has those
/// (KIP-868).
metadata::MetadataRecords bootstrap_records(const DecideContext& context);

/// The record by which the active controller makes itself known; empty when the metadata.version
/// has no such record or nothing but the incarnation would change.
metadata::MetadataRecords register_controller(const DecideContext& context);

}  // namespace broker::controller
