#include "broker/controller/envelope.h"

#include <arpa/inet.h>

#include <array>

#include "broker/protocol/messages/default_principal_data.h"

namespace broker::controller {
namespace {

constexpr std::size_t kIpv4Bytes = 4;
constexpr std::size_t kIpv6Bytes = 16;
constexpr std::int16_t kPrincipalVersion = 0;

Result<Slice> address_bytes(const std::string& host) {
  std::array<std::uint8_t, kIpv6Bytes> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1)
    return Slice::copy_of(std::span<const std::uint8_t>(bytes.data(), kIpv4Bytes));
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1)
    return Slice::copy_of(std::span<const std::uint8_t>(bytes));
  return Error{ErrorCode::kInvalidRequest, "'" + host + "' is no address"};
}

Result<std::string> address_text(const Slice& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == kIpv4Bytes ? AF_INET : AF_INET6;
  if ((bytes.size() != kIpv4Bytes && bytes.size() != kIpv6Bytes) ||
      inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr)
    return Error{ErrorCode::kInvalidRequest,
                 "Failed to parse client address: " + std::to_string(bytes.size()) + " bytes"};
  return std::string(text.data());
}

Result<Slice> principal_bytes(const Caller& caller) {
  protocol::DefaultPrincipalData data;
  data.type = caller.principal.type;
  data.name = caller.principal.name;
  data.token_authenticated = caller.by_token;
  protocol::Writer writer;
  writer.int16(kPrincipalVersion);
  data.write(writer, kPrincipalVersion);
  return writer.to_bytes();
}

Result<void> read_principal(const std::optional<Slice>& bytes, Caller& caller) {
  const Error wrong{ErrorCode::kPrincipalDeserializationFailure,
                    "Failed to deserialize client principal"};
  if (!bytes) return wrong;
  protocol::Reader reader(*bytes);
  const std::int16_t version = reader.int16();
  if (version != kPrincipalVersion) return wrong;
  protocol::DefaultPrincipalData data;
  if (!data.read(reader, version).ok()) return wrong;
  caller.principal = {std::move(data.type), std::move(data.name)};
  caller.by_token = data.token_authenticated;
  return {};
}

}  // namespace

Result<protocol::EnvelopeRequest> wrap(const Caller& caller, const protocol::RequestHeader& header,
                                       protocol::Writer&& body) {
  protocol::EnvelopeRequest envelope;
  ASSIGN_OR_RETURN(const Slices frame, protocol::encode_request_frame(header, std::move(body)));
  std::string bytes;
  for (const Slice& piece : frame) bytes += piece.view();
  envelope.request_data = Slice::copy_of(std::string_view(bytes).substr(protocol::kFrameSizeBytes));
  ASSIGN_OR_RETURN(envelope.request_principal, principal_bytes(caller));
  ASSIGN_OR_RETURN(envelope.client_host_address, address_bytes(caller.host));
  return envelope;
}

Result<Unwrapped> unwrap(const protocol::EnvelopeRequest& request) {
  Unwrapped out;
  RETURN_IF_ERROR(read_principal(request.request_principal, out.caller));
  ASSIGN_OR_RETURN(out.caller.host, address_text(request.client_host_address));
  protocol::Reader reader(request.request_data);
  ASSIGN_OR_RETURN(out.header, protocol::decode_request_header(reader));
  out.caller.client_id = out.header.client_id.value_or("");
  out.body = reader.rest();
  return out;
}

}  // namespace broker::controller
