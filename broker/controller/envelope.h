#pragma once

#include <type_traits>
#include <utility>

#include "broker/controller/channel.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/envelope_request.h"
#include "broker/protocol/messages/envelope_response.h"

namespace broker::controller {

/// A client's request in the envelope by which a broker brings it to the controller (KIP-590).
/// `header` and `body` as the client would have sent them. Errors: kInvalidRequest when the
/// client's host is no address.
Result<protocol::EnvelopeRequest> wrap(const Caller& caller, const protocol::RequestHeader& header,
                                       protocol::Writer&& body);

/// What is inside an envelope that arrived.
struct Unwrapped {
  Caller caller;
  protocol::RequestHeader header;
  Slice body;
};
/// Errors: kPrincipalDeserializationFailure, kInvalidRequest, as Kafka's controllers answer them.
Result<Unwrapped> unwrap(const protocol::EnvelopeRequest& request);

/// `request` in the highest version of both sides; `theirs`: what the controller advertises.
template <class Request>
Result<protocol::EnvelopeRequest> wrap_message(const Caller& caller, const Request& request,
                                               std::int16_t version) {
  protocol::Writer body;
  if constexpr (std::is_same_v<Request, protocol::DeleteTopicsRequest>) {
    if (version < 6) {  // names have a list of their own, and there are no ids
      protocol::DeleteTopicsRequest older = request;
      for (auto& topic : older.topics) older.topic_names.push_back(topic.name.value_or(""));
      older.topics.clear();
      older.write(body, version);
      return wrap(caller, {Request::kApiKey, version, 0, caller.client_id}, std::move(body));
    }
  }
  request.write(body, version);
  return wrap(caller, {Request::kApiKey, version, 0, caller.client_id}, std::move(body));
}

/// The answer inside an answered envelope. Errors: the envelope's own; kCorruptMessage.
template <class Response>
Result<Response> unwrap_message(const protocol::EnvelopeResponse& envelope, protocol::ApiKey key,
                                std::int16_t version) {
  if (envelope.error_code != 0) return Error{protocol::error_from_wire(envelope.error_code), {}};
  if (!envelope.response_data) return Error{ErrorCode::kCorruptMessage, "an empty envelope"};
  protocol::Reader reader(*envelope.response_data);
  ASSIGN_OR_RETURN([[maybe_unused]] const auto correlation_id,
                   protocol::decode_response_header(reader, key, version));
  Response response;
  if (const auto read = response.read(reader, version); !read.ok())
    return Error{ErrorCode::kCorruptMessage, read.error().detail};
  return response;
}

}  // namespace broker::controller
