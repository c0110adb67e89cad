#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "broker/common/error_code.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/protocol/api_key.h"
#include "broker/protocol/codec.h"

namespace broker::protocol {

/// A frame on a connection is its size (4 bytes, not counting themselves), a header, a body.
inline constexpr std::size_t kFrameSizeBytes = 4;

struct RequestHeader {
  ApiKey api_key = ApiKey::kApiVersions;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;

  bool operator==(const RequestHeader&) const = default;
};

/// Reads the header of a request (the frame without its size) and leaves `reader` at the body.
/// INVALID_REQUEST for an unknown API: nothing behind the key can be understood. A version that we
/// do not have is no failure here: an ApiVersions request with one is answered, not refused.
Result<RequestHeader> decode_request_header(Reader& reader);
/// The correlation id; leaves `reader` (the frame without its size) at the body.
Result<std::int32_t> decode_response_header(Reader& reader, ApiKey key, std::int16_t version);

/// A frame, from size to body. The body is a message written in the version of the header.
Result<Slices> encode_request_frame(const RequestHeader& header, Writer&& body);
Result<Slices> encode_response_frame(ApiKey key, std::int16_t version, std::int32_t correlation_id,
                                     Writer&& body);

template <class Body>
Result<Slices> encode_request(std::int16_t version, std::int32_t correlation_id,
                              std::optional<std::string> client_id, const Body& body) {
  Writer writer;
  body.write(writer, version);
  return encode_request_frame({Body::kApiKey, version, correlation_id, std::move(client_id)},
                              std::move(writer));
}

template <class Body>
Result<Slices> encode_response(ApiKey key, std::int16_t version, std::int32_t correlation_id,
                               const Body& body) {
  Writer writer;
  body.write(writer, version);
  return encode_response_frame(key, version, correlation_id, std::move(writer));
}

/// A message from bytes. What follows it is ignored, as Kafka does.
template <class Message>
Result<Message> decode(const Slice& bytes, std::int16_t version) {
  Message message;
  Reader reader(bytes);
  RETURN_IF_ERROR(message.read(reader, version));
  return message;
}

/// A message as contiguous bytes.
template <class Message>
Result<Slice> encode(const Message& message, std::int16_t version) {
  Writer writer;
  message.write(writer, version);
  return writer.to_bytes();
}

/// Error codes are plain numbers in messages.
constexpr std::int16_t error_to_wire(ErrorCode code) { return static_cast<std::int16_t>(code); }
/// kUnknownServerError for a number that Kafka 4.3 does not know.
ErrorCode error_from_wire(std::int16_t code);

}  // namespace broker::protocol
