#pragma once

#include <string>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/controller_call.h"

namespace broker::handlers {

/// A response that says nothing but why the request as a whole was refused.
template <class Response>
Response refused(const Error& error) {
  Response response;
  response.error_code = wire(error.code);
  if constexpr (requires { response.error_message; }) {
    response.error_message =
        error.detail.empty() ? std::nullopt : std::optional<std::string>(error.detail);
  }
  return response;
}

/// True if the caller may do `operation` on the cluster; else the call is answered.
template <class Request>
bool check_cluster_access(const Services& services, Call<Request>& call, AclOperation operation) {
  if (Access(services, call).may_on_cluster(operation)) return true;
  call.reply(refused<typename Request::Response>(
      {ErrorCode::kClusterAuthorizationFailed, kAuthorizationFailed}));
  return false;
}

/// The whole of an API that the controller decides, once the caller may do `operation` on the
/// cluster.
template <class Request>
void decide_by_controller(Services& services, Call<Request> call, AclOperation operation) {
  if (!check_cluster_access(services, call, operation)) return;
  pass_to_controller(services, std::move(call), refused<typename Request::Response>);
}

}  // namespace broker::handlers
