#pragma once

#include <string>
#include <utility>

#include "broker/common/error_code.h"
#include "broker/protocol/codec.h"
#include "broker/protocol/frame.h"
#include "broker/server/request.h"

namespace broker::handlers {

/// One decoded request and the right to answer it. Handed from function to function until somebody
/// answers: move-only.
template <class Request>
struct Call {
  using Response = typename Request::Response;

  Request request;
  server::Request context;
  server::Responder responder;

  std::int16_t version() const { return context.header.api_version; }
  const server::Session& session() const { return *context.session; }
  const security::Principal& principal() const { return context.session->principal; }
  const std::string& host() const { return context.session->peer.host; }
  /// "" when the client gave none.
  std::string client_id() const { return context.header.client_id.value_or(""); }
  io::Strand& strand() const { return *context.strand; }

  /// Encodes and sends. A response that the version cannot carry is a defect: the connection
  /// closes, and the log says why.
  void reply(const Response& response) {
    auto frame = protocol::encode_response(Request::kApiKey, version(),
                                           context.header.correlation_id, response);
    if (!frame.ok()) {
      return responder.close_connection(std::string(Request::kName) + ": " +
                                        to_string(frame.error()));
    }
    responder.send(std::move(*frame));
  }
};

inline std::int16_t wire(ErrorCode code) { return static_cast<std::int16_t>(code); }

}  // namespace broker::handlers
