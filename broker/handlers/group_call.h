#pragma once

#include <memory>

#include "broker/coordinator/group/group_coordinator.h"
#include "broker/handlers/call.h"

namespace broker::handlers {

/// What the coordinator knows of a caller. Kafka shows hosts with a leading slash.
template <class Request>
coordinator::group::CallContext group_context(const Call<Request>& call) {
  return {call.version(), call.client_id(), "/" + call.host()};
}

/// Passes the coordinator's answer on as it is.
template <class Request>
coordinator::Reply<typename Request::Response> reply_to(Call<Request> call) {
  return [call = std::move(call)](typename Request::Response response) mutable {
    call.reply(response);
  };
}

}  // namespace broker::handlers
