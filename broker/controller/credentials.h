#pragma once

#include "broker/controller/types.h"
#include "broker/protocol/messages/alter_user_scram_credentials_request.h"
#include "broker/protocol/messages/alter_user_scram_credentials_response.h"
#include "broker/protocol/messages/create_acls_request.h"
#include "broker/protocol/messages/create_acls_response.h"
#include "broker/protocol/messages/delete_acls_request.h"
#include "broker/protocol/messages/delete_acls_response.h"

namespace broker::controller {

/// A binding that exists already succeeds without a record.
ControllerResult<protocol::CreateAclsResponse> decide(const DecideContext& context,
                                                      const protocol::CreateAclsRequest& request);
ControllerResult<protocol::DeleteAclsResponse> decide(const DecideContext& context,
                                                      const protocol::DeleteAclsRequest& request);
/// One result per user: all alterations of a user happen or none.
ControllerResult<protocol::AlterUserScramCredentialsResponse> decide(
    const DecideContext& context, const protocol::AlterUserScramCredentialsRequest& request);

}  // namespace broker::controller
