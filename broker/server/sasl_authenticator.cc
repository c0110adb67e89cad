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
using Verdict = SaslAuthenticator::Verdict;
using Outcome = SaslAuthenticator::Outcome;

template <class Response>
Result<Slices> framed(const protocol::RequestHeader& header, const Response& response) {
  return protocol::encode_response(header.api_key, header.api_version, header.correlation_id,
                                   response);
}

Outcome refuse(std::string reason) { return {Verdict::kRefused, {}, std::move(reason)}; }

template <class Response>
Outcome outcome(Verdict verdict, const protocol::RequestHeader& header, const Response& response,
                std::string reason = {}) {
  auto answer = framed(header, response);
  if (!answer) return refuse(answer.error().detail);
  return {verdict, std::move(*answer), std::move(reason)};
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

Outcome SaslAuthenticator::on_request(const protocol::RequestHeader& header, const Slice& body) {
  if (header.api_key == protocol::ApiKey::kSaslHandshake) return on_handshake(header, body);
  return on_authenticate(header, body);
}

Outcome SaslAuthenticator::on_handshake(const protocol::RequestHeader& header, const Slice& body) {
  const State state = std::exchange(state_, State::kEnded);
  protocol::SaslHandshakeResponse response;
  response.mechanisms = mechanisms_;
  if (state != State::kHandshake) {
    response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
    return outcome(Verdict::kRefused, header, response, "a second SaslHandshake");
  }
  auto request = protocol::decode<protocol::SaslHandshakeRequest>(body, header.api_version);
  if (!request) return refuse("malformed SaslHandshake: " + request.error().detail);
  mechanism_ = request->mechanism;
  const bool enabled =
      std::find(mechanisms_.begin(), mechanisms_.end(), mechanism_) != mechanisms_.end();
  auto exchange =
      enabled ? security::make_sasl_server(mechanism_, credentials_)
              : Result<std::unique_ptr<security::SaslServer>>(ErrorCode::kUnsupportedSaslMechanism);
  if (!exchange) {
    response.error_code = error_to_wire(ErrorCode::kUnsupportedSaslMechanism);
    return outcome(Verdict::kRefused, header, response,
                   "unsupported SASL mechanism " + mechanism_.substr(0, 64));
  }
  exchange_ = std::move(*exchange);
  state_ = header.api_version == 0 ? State::kBareTokens : State::kTokens;
  return outcome(Verdict::kContinue, header, response);
}

Outcome SaslAuthenticator::on_authenticate(const protocol::RequestHeader& header,
                                           const Slice& body) {
  const State state = std::exchange(state_, State::kEnded);
  protocol::SaslAuthenticateResponse response;
  response.error_message.reset();
  if (state != State::kTokens) {
    response.error_code = error_to_wire(ErrorCode::kIllegalSaslState);
    response.error_message = "SaslAuthenticate request received before SaslHandshake";
    return outcome(Verdict::kRefused, header, response, "SaslAuthenticate before SaslHandshake");
  }
  auto request = protocol::decode<protocol::SaslAuthenticateRequest>(body, header.api_version);
  if (!request) return refuse("malformed SaslAuthenticate: " + request.error().detail);
  auto step = exchange_->step(request->auth_bytes.span());
  if (!step) {
    response.error_code = error_to_wire(ErrorCode::kSaslAuthenticationFailed);
    response.error_message = step.error().detail;
    return outcome(Verdict::kFailed, header, response, step.error().detail);
  }
  response.auth_bytes = Slice(std::move(step->token));
  if (!step->complete) state_ = State::kTokens;
  return outcome(step->complete ? Verdict::kAuthenticated : Verdict::kContinue, header, response);
}

Outcome SaslAuthenticator::on_bare_token(const Slice& token) {
  auto step = exchange_->step(token.span());
  if (!step) {
    state_ = State::kEnded;
    return {Verdict::kFailed, {}, step.error().detail};
  }
  if (step->complete) state_ = State::kEnded;
  // PLAIN's server has nothing to say, yet its client waits for the empty frame.
  return {
      step->complete ? Verdict::kAuthenticated : Verdict::kContinue, bare_frame(step->token), {}};
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
