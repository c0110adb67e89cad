#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/create_delegation_token_request.h"
#include "broker/protocol/messages/create_delegation_token_response.h"
#include "broker/protocol/messages/expire_delegation_token_request.h"
#include "broker/protocol/messages/expire_delegation_token_response.h"
#include "broker/protocol/messages/renew_delegation_token_request.h"
#include "broker/protocol/messages/renew_delegation_token_response.h"

namespace broker::controller {

/// Whom the token is to be of: who asks for it, unless the request names another.
security::Principal owner_of(const protocol::CreateDelegationTokenRequest& request,
                             const security::Principal& requester);

/// Delegation tokens (KIP-48). Whoever asks (`context.caller`) is the requester; that it may ask
/// for another owner's, the broker has authorized.
ControllerResult<protocol::CreateDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::CreateDelegationTokenRequest& request);
/// By the token's owner or one of its renewers. The HMACs of all tokens are computed to find it: a
/// microsecond each.
ControllerResult<protocol::RenewDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::RenewDelegationTokenRequest& request);
ControllerResult<protocol::ExpireDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::ExpireDelegationTokenRequest& request);

/// Removes at most `limit` tokens whose time is over.
metadata::MetadataRecords sweep_delegation_tokens(const DecideContext& context, std::size_t limit);

}  // namespace broker::controller
