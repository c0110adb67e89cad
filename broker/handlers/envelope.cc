// Envelope (KIP-590): a broker brings the request of a client that it has authenticated. It is
// handled as if the client had sent it here itself.
#include "broker/controller/envelope.h"

#include "broker/handlers/apis.h"
#include "broker/handlers/cluster_call.h"
#include "broker/handlers/registry.h"

namespace broker::handlers {
namespace {

using protocol::EnvelopeRequest;
using protocol::EnvelopeResponse;

/// The framed answer without its size.
EnvelopeResponse sealed(const Slices& framed) {
  std::string bytes;
  for (const Slice& piece : framed) bytes += piece.view();
  EnvelopeResponse response;
  response.response_data =
      Slice::copy_of(std::string_view(bytes).substr(protocol::kFrameSizeBytes));
  return response;
}

Result<controller::Unwrapped> open(const Services& services, const Call<EnvelopeRequest>& call) {
  // The broker looks for the controller anew, and nothing of the request was done.
  if (services.quorum_leader->get()->leader != services.config.node_id) {
    return ErrorCode::kNotController;
  }
  ASSIGN_OR_RETURN(controller::Unwrapped inside, controller::unwrap(call.request));
  const auto key = static_cast<std::int16_t>(inside.header.api_key);
  const auto* api = protocol::find_api(key);
  if (api == nullptr || !api->forwardable) return ErrorCode::kInvalidRequest;
  if (!services.registry->accepts(call.session().listener, key, inside.header.api_version)) {
    return ErrorCode::kUnsupportedVersion;
  }
  return inside;
}

}  // namespace

void handle_envelope(Services& services, Call<EnvelopeRequest> call) {
  if (!check_cluster_access(services, call, AclOperation::kClusterAction)) return;
  auto inside = open(services, call);
  if (!inside.ok()) return call.reply(refused<EnvelopeResponse>(inside.error()));
  auto session = std::make_shared<server::Session>(call.session());
  session->principal = std::move(inside->caller.principal);
  session->peer.host = std::move(inside->caller.host);
  session->by_token = inside->caller.by_token;
  session->forwarded = true;
  server::Request request;
  request.session = std::move(session);
  request.header = std::move(inside->header);
  request.body = std::move(inside->body);
  request.received = call.context.received;
  request.strand = call.context.strand;
  request.connection_end = std::make_shared<server::ConnectionEnd>();  // the broker's own goes on
  services.registry->on_request(
      std::move(request), server::Responder([call = std::move(call)](server::Reply reply) mutable {
        if (reply.kind == server::Reply::Kind::kSend) return call.reply(sealed(reply.framed));
        call.reply(refused<EnvelopeResponse>(Error{ErrorCode::kInvalidRequest, {}}));
      }));
}

}  // namespace broker::handlers
