// CreateDelegationToken, RenewDelegationToken, ExpireDelegationToken, DescribeDelegationToken
// (KIP-48).
#include "broker/controller/delegation_tokens.h"

#include <algorithm>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/create_delegation_token_request.h"
#include "broker/protocol/messages/create_delegation_token_response.h"
#include "broker/protocol/messages/describe_delegation_token_request.h"
#include "broker/protocol/messages/describe_delegation_token_response.h"
#include "broker/protocol/messages/expire_delegation_token_request.h"
#include "broker/protocol/messages/expire_delegation_token_response.h"
#include "broker/protocol/messages/renew_delegation_token_request.h"
#include "broker/protocol/messages/renew_delegation_token_response.h"
#include "broker/security/delegation_token.h"

namespace broker::handlers {
namespace {

using metadata::DelegationTokenImage;
using security::Principal;
using DescribedToken = protocol::DescribeDelegationTokenResponse::DescribedDelegationToken;

constexpr std::int64_t kNoTimestamp = -1;

/// Not by a token's bearer, and not by who has shown nothing.
bool may_ask_for_tokens(const server::Session& session) {
  if (session.by_token) return false;
  if (session.forwarded) return true;  // that broker has looked at how it came
  const bool anonymous = session.principal == Principal{};
  return session.protocol != security::SecurityProtocol::kPlaintext &&
         !(session.protocol == security::SecurityProtocol::kSsl && anonymous);
}

template <class Response>
Response without_expiry(const Error& error) {
  Response response;
  response.error_code = wire(error.code);
  response.expiry_timestamp_ms = kNoTimestamp;
  return response;
}

template <class Request>
void renew_or_expire(Services& services, Call<Request> call) {
  using Response = typename Request::Response;
  if (!may_ask_for_tokens(call.session()))
    return call.reply(
        without_expiry<Response>(Error{ErrorCode::kDelegationTokenRequestNotAllowed, {}}));
  pass_to_controller(services, std::move(call), without_expiry<Response>);
}

bool concerns(const DelegationTokenImage& token, const std::string& principal) {
  return token.owner == principal || token.requester == principal ||
         std::find(token.renewers.begin(), token.renewers.end(), principal) != token.renewers.end();
}

/// A principal that the log holds, so it has a type.
Principal principal_of(const std::string& text) {
  auto principal = security::parse_principal(text);
  return principal.ok() ? std::move(*principal) : Principal{"", text};
}

DescribedToken described(const std::string& id, const DelegationTokenImage& token,
                         const std::string& secret_key) {
  DescribedToken out;
  Principal owner = principal_of(token.owner);
  Principal requester = principal_of(token.requester);
  out.principal_type = std::move(owner.type);
  out.principal_name = std::move(owner.name);
  out.token_requester_principal_type = std::move(requester.type);
  out.token_requester_principal_name = std::move(requester.name);
  out.issue_timestamp = token.issued;
  out.expiry_timestamp = token.expires;
  out.max_timestamp = token.max;
  out.token_id = id;
  out.hmac = Slice(security::delegation_token_hmac(secret_key, id));
  for (const std::string& renewer : token.renewers) {
    Principal principal = principal_of(renewer);
    out.renewers.push_back({std::move(principal.type), std::move(principal.name)});
  }
  return out;
}

}  // namespace

void handle_create_delegation_token(Services& services,
                                    Call<protocol::CreateDelegationTokenRequest> call) {
  const Access access(services, call);
  const auto& request = call.request;
  const Principal requester = call.principal();
  const Principal owner = controller::owner_of(request, requester);
  const auto refuse = [owner, requester](const Error& error) {
    protocol::CreateDelegationTokenResponse response;
    response.error_code = wire(error.code);
    response.principal_type = owner.type;
    response.principal_name = owner.name;
    response.token_requester_principal_type = requester.type;
    response.token_requester_principal_name = requester.name;
    response.issue_timestamp_ms = kNoTimestamp;
    response.expiry_timestamp_ms = kNoTimestamp;
    response.max_timestamp_ms = kNoTimestamp;
    return response;
  };
  if (!may_ask_for_tokens(call.session()))
    return call.reply(refuse({ErrorCode::kDelegationTokenRequestNotAllowed, {}}));
  if (owner != requester &&
      !access.may(AclOperation::kCreateTokens, ResourceType::kUser, to_string(owner)))
    return call.reply(refuse({ErrorCode::kDelegationTokenAuthorizationFailed, {}}));
  const bool other_types = std::any_of(request.renewers.begin(), request.renewers.end(),
                                       [](const auto& r) { return r.principal_type != "User"; });
  if (other_types) return call.reply(refuse({ErrorCode::kInvalidPrincipalType, {}}));
  pass_to_controller(services, std::move(call), refuse);
}

void handle_renew_delegation_token(Services& services,
                                   Call<protocol::RenewDelegationTokenRequest> call) {
  renew_or_expire(services, std::move(call));
}

void handle_expire_delegation_token(Services& services,
                                    Call<protocol::ExpireDelegationTokenRequest> call) {
  renew_or_expire(services, std::move(call));
}

void handle_describe_delegation_token(Services& services,
                                      Call<protocol::DescribeDelegationTokenRequest> call) {
  protocol::DescribeDelegationTokenResponse response;
  const std::string& secret_key = services.config.delegation_token_secret_key;
  if (!may_ask_for_tokens(call.session())) {
    response.error_code = wire(ErrorCode::kDelegationTokenRequestNotAllowed);
    return call.reply(response);
  }
  if (secret_key.empty()) {
    response.error_code = wire(ErrorCode::kDelegationTokenAuthDisabled);
    return call.reply(response);
  }
  const Access access(services, call);
  const auto& owners = call.request.owners;
  const auto is_wanted = [&](const DelegationTokenImage& token) {
    return !owners || std::any_of(owners->begin(), owners->end(), [&](const auto& owner) {
      return concerns(token, to_string(Principal{owner.principal_type, owner.principal_name}));
    });
  };
  const std::string self = to_string(call.principal());
  for (const auto& [id, token] : access.image().delegation_tokens) {
    if (!is_wanted(token)) continue;
    if (concerns(token, self) ||
        access.may(AclOperation::kDescribe, ResourceType::kDelegationToken, id) ||
        access.may(AclOperation::kDescribeTokens, ResourceType::kUser, token.owner))
      response.tokens.push_back(described(id, token, secret_key));
  }
  call.reply(response);
}

}  // namespace broker::handlers
