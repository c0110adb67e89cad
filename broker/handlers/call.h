#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "broker/common/error_code.h"
#include "broker/protocol/codec.h"
#include "broker/protocol/frame.h"
#include "broker/server/request.h"
#include "broker/server/request_meter.h"

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

  /// Encodes and sends. If a quota asks for it (throttle_time_ms is set, or the time that went into
  /// the request is above its quota) the client is told, and not read from for so long. A response
  /// that the version cannot carry is a defect: the connection closes, and the log says why.
  void reply(Response&& response) { reply(response); }
  void reply(Response& response) {
    std::chrono::milliseconds mute{0};
    if constexpr (requires { response.throttle_time_ms; }) {
      mute = std::max(std::chrono::milliseconds(response.throttle_time_ms), settle_time());
      response.throttle_time_ms = static_cast<std::int32_t>(mute.count());
    }
    auto frame = protocol::encode_response(Request::kApiKey, version(),
                                           context.header.correlation_id, response);
    if (!frame.ok()) {
      return responder.close_connection(std::string(Request::kName) + ": " +
                                        to_string(frame.error()));
    }
    responder.send(std::move(*frame), mute);
  }

  /// For whom quotas are kept.
  server::QuotaClient quota_client() const {
    static const std::string kNone;
    return {context.session->principal.name,
            context.header.client_id ? *context.header.client_id : kNone,
            context.strand->is_current() ? context.quota_shares.get() : nullptr};
  }
  /// Charges the time spent so far, once; how long the client is to be muted for it.
  std::chrono::milliseconds settle_time() {
    const auto meter = std::exchange(context.meter, nullptr);
    return meter == nullptr ? std::chrono::milliseconds(0)
                            : meter->settle(quota_client(), context.strand->now());
  }
};

inline std::int16_t wire(ErrorCode code) { return static_cast<std::int16_t>(code); }

}  // namespace broker::handlers
