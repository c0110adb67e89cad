#pragma once

#include <string>
#include <utility>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/controller/requests.h"
#include "broker/security/types.h"

namespace broker::controller {

/// The client on whose behalf a broker asks.
struct Caller {
  security::Principal principal;
  std::string host;  // as text
  std::string client_id;
  /// False: its version of the API does not know THROTTLING_QUOTA_EXCEEDED.
  bool strict_quota = true;
  bool by_token = false;  // a delegation token was its proof
};

/// The way from a broker's strand to the active controller, wherever it is; messages by value.
class ControllerChannel {
 public:
  virtual ~ControllerChannel() = default;
  using Done = UniqueFunction<void(Result<ControllerResponse>)>;
  /// Asks as this node itself. `done` runs once, on the caller's strand, never inside this call. An
  /// Error means that the request as a whole was not decided: kNotController (may be sent again),
  /// kRequestTimedOut, kBrokerNotAvailable (shutting down). What was decided carries its errors
  /// inside the response.
  virtual void send(ControllerRequest request, Done done) = 0;
  /// The same for a client that this node has authorized. Another node is told who it is, and
  /// authorizes again (KIP-590).
  virtual void send_for(Caller /*caller*/, ControllerRequest request, Done done) {
    send(std::move(request), std::move(done));
  }
};

/// send() with the types of one API.
template <class Request>
void call(ControllerChannel& channel, Request request,
          UniqueFunction<void(Result<typename Request::Response>)> done) {
  channel.send(ControllerRequest(std::move(request)),
               [done = std::move(done)](Result<ControllerResponse> result) mutable {
                 if (!result.ok()) return done(result.error());
                 done(std::get<typename Request::Response>(std::move(*result)));
               });
}

/// send_for() with the types of one API.
template <class Request>
void call_for(ControllerChannel& channel, Caller caller, Request request,
              UniqueFunction<void(Result<typename Request::Response>)> done) {
  channel.send_for(std::move(caller), ControllerRequest(std::move(request)),
                   [done = std::move(done)](Result<ControllerResponse> result) mutable {
                     if (!result.ok()) return done(result.error());
                     done(std::get<typename Request::Response>(std::move(*result)));
                   });
}

}  // namespace broker::controller
