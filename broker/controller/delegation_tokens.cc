#include "broker/controller/delegation_tokens.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "broker/controller/channel.h"
#include "broker/metadata/features.h"
#include "broker/security/delegation_token.h"

namespace broker::controller {
namespace {

using metadata::DelegationTokenImage;

WallMs later(WallMs now, std::int64_t duration) {
  constexpr WallMs kLast = std::numeric_limits<WallMs>::max();
  return now > kLast - duration ? kLast : now + duration;
}

bool is_over(const DelegationTokenImage& token, WallMs now) {
  return token.max < now || token.expires < now;
}

/// Why no token can be decided about at all.
std::optional<ErrorCode> refusal(const DecideContext& context) {
  if (context.options.delegation_tokens.secret_key.empty())
    return ErrorCode::kDelegationTokenAuthDisabled;
  if (context.image.features.metadata_version() < metadata::kMetadataVersion3_6_IV2)
    return ErrorCode::kUnsupportedVersion;
  if (context.caller == nullptr) return ErrorCode::kDelegationTokenRequestNotAllowed;
  return std::nullopt;
}

struct Found {
  std::string id;
  DelegationTokenImage token;
};

/// The token of an HMAC that the caller may renew or expire.
Result<Found> find(const DecideContext& context, const Slice& hmac) {
  if (const auto refused = refusal(context)) return *refused;
  for (const auto& [id, token] : context.image.delegation_tokens) {
    const auto own =
        security::delegation_token_hmac(context.options.delegation_tokens.secret_key, id);
    if (!security::equal_in_constant_time(own, hmac.span())) continue;
    return Found{id, token};
  }
  return ErrorCode::kDelegationTokenNotFound;
}

bool may_renew(const DelegationTokenImage& token, const security::Principal& principal) {
  const std::string name = to_string(principal);
  return token.owner == name ||
         std::find(token.renewers.begin(), token.renewers.end(), name) != token.renewers.end();
}

metadata::MetadataRecord record_of(const Found& found) {
  protocol::DelegationTokenRecord record;
  record.owner = found.token.owner;
  record.requester = found.token.requester;
  record.renewers = found.token.renewers;
  record.issue_timestamp = found.token.issued;
  record.max_timestamp = found.token.max;
  record.expiration_timestamp = found.token.expires;
  record.token_id = found.id;
  return record;
}

metadata::MetadataRecord removal_of(const std::string& id) {
  protocol::RemoveDelegationTokenRecord record;
  record.token_id = id;
  return record;
}

template <class Response>
ControllerResult<Response> refused(ErrorCode code) {
  ControllerResult<Response> out;
  out.response.error_code = static_cast<std::int16_t>(code);
  return out;
}

}  // namespace

security::Principal owner_of(const protocol::CreateDelegationTokenRequest& request,
                             const security::Principal& requester) {
  if (request.owner_principal_name.value_or("").empty()) return requester;
  return {request.owner_principal_type.value_or(""), *request.owner_principal_name};
}

ControllerResult<protocol::CreateDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::CreateDelegationTokenRequest& request) {
  ControllerResult<protocol::CreateDelegationTokenResponse> out;
  auto& response = out.response;
  const auto fail = [&](ErrorCode code) {
    response.error_code = static_cast<std::int16_t>(code);
    return out;
  };
  const security::Principal requester =
      context.caller == nullptr ? security::Principal{} : context.caller->principal;
  const security::Principal owner = owner_of(request, requester);
  response.principal_type = owner.type;
  response.principal_name = owner.name;
  response.token_requester_principal_type = requester.type;
  response.token_requester_principal_name = requester.name;
  if (const auto refused = refusal(context)) return fail(*refused);

  const DelegationTokenOptions& options = context.options.delegation_tokens;
  Found made;
  std::int64_t lifetime = options.max_lifetime_ms;
  if (request.max_lifetime_ms > 0) lifetime = std::min(lifetime, request.max_lifetime_ms);
  made.token.owner = to_string(owner);
  made.token.requester = to_string(requester);
  made.token.issued = context.wall_now;
  made.token.max = later(context.wall_now, lifetime);
  made.token.expires = std::min(made.token.max, later(context.wall_now, options.expiry_time_ms));
  for (const auto& renewer : request.renewers) {
    if (renewer.principal_type != "User") return fail(ErrorCode::kInvalidPrincipalType);
    made.token.renewers.push_back(
        to_string(security::Principal{renewer.principal_type, renewer.principal_name}));
  }
  do {  // an argument that begins with a dash is an option to Kafka's tools
    made.id = Uuid::random(context.rng).to_string();
  } while (made.id.starts_with('-') || context.image.delegation_tokens.contains(made.id));
  response.issue_timestamp_ms = made.token.issued;
  response.expiry_timestamp_ms = made.token.expires;
  response.max_timestamp_ms = made.token.max;
  response.token_id = made.id;
  response.hmac = Slice(security::delegation_token_hmac(options.secret_key, made.id));
  out.records.push_back(record_of(made));
  return out;
}

ControllerResult<protocol::RenewDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::RenewDelegationTokenRequest& request) {
  using Response = protocol::RenewDelegationTokenResponse;
  auto found = find(context, request.hmac);
  if (!found.ok()) return refused<Response>(found.code());
  if (is_over(found->token, context.wall_now))
    return refused<Response>(ErrorCode::kDelegationTokenExpired);
  if (!may_renew(found->token, context.caller->principal))
    return refused<Response>(ErrorCode::kDelegationTokenOwnerMismatch);
  std::int64_t period = context.options.delegation_tokens.expiry_time_ms;
  if (request.renew_period_ms > 0) period = std::min(period, request.renew_period_ms);
  found->token.expires = std::min(found->token.max, later(context.wall_now, period));
  ControllerResult<Response> out;
  out.response.expiry_timestamp_ms = found->token.expires;
  out.records.push_back(record_of(*found));
  return out;
}

ControllerResult<protocol::ExpireDelegationTokenResponse> decide(
    const DecideContext& context, const protocol::ExpireDelegationTokenRequest& request) {
  using Response = protocol::ExpireDelegationTokenResponse;
  auto found = find(context, request.hmac);
  if (!found.ok()) return refused<Response>(found.code());
  if (!may_renew(found->token, context.caller->principal))
    return refused<Response>(ErrorCode::kDelegationTokenOwnerMismatch);
  ControllerResult<Response> out;
  if (request.expiry_time_period_ms < 0) {  // at once
    out.response.expiry_timestamp_ms = context.wall_now;
    out.records.push_back(removal_of(found->id));
    return out;
  }
  if (is_over(found->token, context.wall_now))
    return refused<Response>(ErrorCode::kDelegationTokenExpired);
  found->token.expires =
      std::min(found->token.max, later(context.wall_now, request.expiry_time_period_ms));
  out.response.expiry_timestamp_ms = found->token.expires;
  out.records.push_back(record_of(*found));
  return out;
}

metadata::MetadataRecords sweep_delegation_tokens(const DecideContext& context, std::size_t limit) {
  metadata::MetadataRecords records;
  for (const auto& [id, token] : context.image.delegation_tokens) {
    if (records.size() >= limit) break;
    if (is_over(token, context.wall_now)) records.push_back(removal_of(id));
  }
  return records;
}

}  // namespace broker::controller
