#pragma once

#include <utility>

#include "broker/controller/channel.h"
#include "broker/handlers/call.h"
#include "broker/handlers/services.h"

namespace broker::handlers {

/// Asks the active controller from the caller's strand.
template <class Request>
void ask_controller(Services& services, io::Strand& strand, Request request,
                    UniqueFunction<void(Result<typename Request::Response>)> done) {
  controller::call(services.controller(strand), std::move(request), std::move(done));
}

/// Kafka's words where the handler itself refuses.
inline constexpr const char* kAuthorizationFailed = "Authorization failed.";

}  // namespace broker::handlers
