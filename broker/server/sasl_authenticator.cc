#include "broker/server/sasl_authenticator.h"

#include <algorithm>

#include "broker/common/endian.h"
#include "broker/protocol/messages/sasl_authenticate_request.h"
#include "broker/protocol/messages/sasl_authenticate_response.h"
#include "broker/protocol/messages/sasl_handshake_request.h"
#include "broker/protocol/messages/sasl_handshake_response.h"

namespace broker::server {
namespace {

using protocol::error_to_wire;
using std::chrono::milliseconds;
using Verdict = SaslAuthenticator::Verdict;
using Outcome = SaslAuthenticator::Outcome;

template <class Response>
Result<Slices> framed(const protocol::RequestHeader& header, const Response& response) {
  return protocol::encode_response(header.api_key, header.api_version, header.correlation_id,
                                   response);
}

Outcome refuse(std::string reason) { return {Verdict::kRefused, {}, {}, std::move(reason)}; }

template <class Response>
Outcome outcome(Verdict verdict, const protocol::RequestHeader& header, const Response& response,
                std::string reason = {}) {
  auto answer = framed(header, response);
  if (!answer) return refuse(answer.error().detail);
  return {verdict, std::move(*answer), {}, std::move(reason)};
}

Slices bare_frame(const security::Bytes& token) {
  const auto size = static_cast<std::uint32_t>(token.size());
  std::vector<std::uint8_t> frame;
  for (int shift = 24; shift >= 0; shift -= 8)
    frame.push_back(static_cast<std::uint8_t>(size >> shift));
  frame.insert(frame.end(), token.begin(), token.end());
  return {Slice(std::move(frame))};
}

}  // namespace

Outcome SaslAuthenticator::on_request(const protocol::RequestHeader& header, const Slice& body,
                                      WallMs now) {
  if (header.api_key == protocol::ApiKey::kSaslHandshake) return on_handshake(header, body);
  return on_authenticate(header, body, now);
}

/// One step of the exchange; a refusal has Kafka's words.
Result<security::SaslStep> SaslAuthenticator::step(std::span<const std::uint8_t> token) {
  auto step = exchange_->step(token);
  if (!step) {
    if (!step.error().detail.empty()) return step;
    return Error{ErrorCode::kSaslAuthenticationFailed,
                 std::string("Authentication failed during ") +
                     (is_reauthentication() ? "re-authentication" : "authentication") +
                     " due to invalid credentials with SASL mechanism " + mechanism_};
  }
  if (!step->complete || !established_) return step;
  const security::Principal proven{"User", exchange_->user()};
  if (proven == established_->principal) return step;
  const security::Principal& before = established_->principal;
  return Error{ErrorCode::kSaslAuthenticationFailed,
               "Cannot change principals during re-authentication from " + before.type + "." +
                   before.name + ": " + proven.type + "." + proven.name};
}

/// The earlier of what the configuration allows and the end of what was proven.
std::optional<milliseconds> SaslAuthenticator::session_lifetime(WallMs now) const {
  const auto allowed = options_.max_reauth.find(mechanism_);
  const auto expires = exchange_->expires();
  if (!expires && allowed == options_.max_reauth.end()) return std::nullopt;
  if (!expires) return allowed->second;
  const milliseconds left(std::max<WallMs>(0, *expires - now));
  return allowed == options_.max_reauth.end() ? left : std::min(left, allowed->second);
}

std::string SaslAuthenticator::other_mechanism() const {
  return "SASL mechanism '" + mechanism_.substr(0, 64) +
         "' requested by client is not supported for re-authentication of mechanism '" +
         established_->mechanism + "'";
}

Outcome SaslAuthenticator::on_handshake(const protocol::RequestHeader& header, const Slice& body) {
  const State state = std::exchange(state_, State::kEnded);
  protocol::SaslHandshakeResponse response;
  response.mechanisms = options_.mechanisms;
  if (state != State::kHandshake) {
    response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
    return outcome(Verdict::kRefused, header, response, "a second SaslHandshake");
  }
  auto request = protocol::decode<protocol::SaslHandshakeRequest>(body, header.api_version);
  if (!request) return refuse("malformed SaslHandshake: " + request.error().detail);
  mechanism_ = request->mechanism;
  const bool enabled = std::find(options_.mechanisms.begin(), options_.mechanisms.end(),
                                 mechanism_) != options_.mechanisms.end();
  auto exchange =
      enabled ? security::make_sasl_server(mechanism_, credentials_, options_.bearers.get())
              : Result<std::unique_ptr<security::SaslServer>>(ErrorCode::kUnsupportedSaslMechanism);
  if (!exchange && established_) {  // Kafka ends such a connection without a word
    return {Verdict::kFailed, {}, {}, other_mechanism()};
  }
  if (!exchange) {
    response.error_code = error_to_wire(ErrorCode::kUnsupportedSaslMechanism);
    return outcome(Verdict::kRefused, header, response,
                   "unsupported SASL mechanism " + mechanism_.substr(0, 64));
  }
  if (established_ && mechanism_ != established_->mechanism) {
    // Kafka answers this, and ends the connection at the next frame.
    state_ = State::kOtherMechanism;
    return outcome(Verdict::kContinue, header, response);
  }
  exchange_ = std::move(*exchange);
  state_ = header.api_version == 0 ? State::kBareTokens : State::kTokens;
  return outcome(Verdict::kContinue, header, response);
}

Outcome SaslAuthenticator::on_authenticate(const protocol::RequestHeader& header, const Slice& body,
                                           WallMs now) {
  const State state = std::exchange(state_, State::kEnded);
  if (state == State::kOtherMechanism) return {Verdict::kFailed, {}, {}, other_mechanism()};
  protocol::SaslAuthenticateResponse response;
  response.error_message.reset();
  if (state != State::kTokens) {
    response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
    response.error_message = "SaslAuthenticate request received before SaslHandshake";
    return outcome(Verdict::kRefused, header, response, "SaslAuthenticate before SaslHandshake");
  }
  auto request = protocol::decode<protocol::SaslAuthenticateRequest>(body, header.api_version);
  if (!request) return refuse("malformed SaslAuthenticate: " + request.error().detail);
  auto step = this->step(request->auth_bytes.span());
  if (!step) {
    response.error_code = error_to_wire(ErrorCode::kSaslAuthenticationFailed);
    response.error_message = step.error().detail;
    return outcome(Verdict::kFailed, header, response, step.error().detail);
  }
  response.auth_bytes = Slice(std::move(step->token));
  if (!step->complete) {
    state_ = State::kTokens;
    return outcome(Verdict::kContinue, header, response);
  }
  const auto lifetime = session_lifetime(now);
  response.session_lifetime_ms = lifetime.value_or(milliseconds(0)).count();
  Outcome done = outcome(Verdict::kAuthenticated, header, response);
  done.session_lifetime = lifetime;
  return done;
}

Outcome SaslAuthenticator::on_bare_token(const Slice& token, WallMs now) {
  auto step = this->step(token.span());
  if (!step) {
    state_ = State::kEnded;
    return {Verdict::kFailed, {}, {}, step.error().detail};
  }
  // PLAIN's server has nothing to say, yet its client waits for the empty frame.
  if (!step->complete) return {Verdict::kContinue, bare_frame(step->token), {}, {}};
  state_ = State::kEnded;
  return {Verdict::kAuthenticated, bare_frame(step->token), session_lifetime(now), {}};
}

Result<Slices> illegal_sasl_state(const protocol::RequestHeader& header,
                                  const std::string& message) {
  if (header.api_key == protocol::ApiKey::kSaslHandshake) {
    protocol::SaslHandshakeResponse response;
    response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
    return framed(header, response);
  }
  protocol::SaslAuthenticateResponse response;
  response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
  response.error_message = message;
  return framed(header, response);
}

}  // namespace broker::server
