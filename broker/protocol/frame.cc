#include "broker/protocol/frame.h"

#include <limits>

#include "broker/protocol/api.h"

namespace broker::protocol {
namespace {

constexpr std::size_t kMaxFrame = std::numeric_limits<std::int32_t>::max();

/// A response header has tagged fields when the API is flexible, but not ApiVersions': its client
/// does not know yet which versions the broker speaks (KIP-511).
bool flexible_response_header(ApiKey key, std::int16_t version) {
  return key != ApiKey::kApiVersions && api_info(key).flexible(version);
}

Result<Slices> finish(Writer&& frame, Writer&& body) {
  ASSIGN_OR_RETURN(const Slices pieces, body.take());
  for (const Slice& piece : pieces) frame.raw(piece);
  return frame.take();
}

Status check_size(std::size_t size) {
  if (size <= kMaxFrame) return {};
  return Error{ErrorCode::kInvalidRequest, "a frame of " + std::to_string(size) + " bytes"};
}

}  // namespace

Result<RequestHeader> decode_request_header(Reader& reader) {
  RequestHeader header;
  const std::int16_t key = reader.int16();
  RETURN_IF_ERROR(reader.status());
  const ApiInfo* api = find_api(key);
  if (api == nullptr) return Error{ErrorCode::kInvalidRequest, "no API " + std::to_string(key)};
  header.api_key = api->key;
  header.api_version = reader.int16();
  header.correlation_id = reader.int32();
  // Even flexible headers keep the two-byte length here (KIP-482).
  reader.string(false, true, header.client_id);
  // What a version from the future has here is not known; who refuses it needs only what was read.
  if (header.api_version <= api->highest_known && api->flexible(header.api_version))
    reader.skip_tagged_fields();
  RETURN_IF_ERROR(reader.status());
  return header;
}

Result<std::int32_t> decode_response_header(Reader& reader, ApiKey key, std::int16_t version) {
  const std::int32_t correlation_id = reader.int32();
  if (flexible_response_header(key, version)) reader.skip_tagged_fields();
  RETURN_IF_ERROR(reader.status());
  return correlation_id;
}

Result<Slices> encode_request_frame(const RequestHeader& header, Writer&& body) {
  const bool flexible = api_info(header.api_key).flexible(header.api_version);
  const std::size_t size = 2 + 2 + 4 + 2 + (header.client_id ? header.client_id->size() : 0) +
                           (flexible ? 1 : 0) + body.size();
  RETURN_IF_ERROR(check_size(size));
  Writer frame;
  frame.int32(static_cast<std::int32_t>(size));
  frame.int16(static_cast<std::int16_t>(header.api_key));
  frame.int16(header.api_version);
  frame.int32(header.correlation_id);
  frame.string(false, true, header.client_id);
  if (flexible) frame.no_tagged_fields();
  return finish(std::move(frame), std::move(body));
}

Result<Slices> encode_response_frame(ApiKey key, std::int16_t version, std::int32_t correlation_id,
                                     Writer&& body) {
  const bool flexible = flexible_response_header(key, version);
  const std::size_t size = 4 + (flexible ? 1 : 0) + body.size();
  RETURN_IF_ERROR(check_size(size));
  Writer frame;
  frame.int32(static_cast<std::int32_t>(size));
  frame.int32(correlation_id);
  if (flexible) frame.no_tagged_fields();
  return finish(std::move(frame), std::move(body));
}

ErrorCode error_from_wire(std::int16_t code) {
  constexpr auto kLast = static_cast<std::int16_t>(ErrorCode::kShareSessionLimitReached);
  const bool known = code >= 0 && code <= kLast;
  return known ? static_cast<ErrorCode>(code) : ErrorCode::kUnknownServerError;
}

}  // namespace broker::protocol
