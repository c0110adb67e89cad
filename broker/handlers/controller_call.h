#pragma once

#include <utility>

#include "broker/controller/channel.h"
#include "broker/controller/mutation_quota.h"
#include "broker/handlers/call.h"
#include "broker/handlers/services.h"

namespace broker::handlers {

/// Who asks the controller, and from where.
struct Asker {
  io::Strand* strand;
  controller::Caller caller;
  /// The request came to a controller's listener: only the controller of this node may decide.
  bool here = false;
};

bool is_controller_listener(const Services& services, const std::string& listener);

template <class Request>
Asker asker_of(const Services& services, const Call<Request>& call) {
  const auto lenient = controller::last_lenient_version(Request::kApiKey);
  return {call.context.strand,
          {call.principal(), call.host(), call.client_id(), !lenient || call.version() > *lenient,
           call.session().by_token},
          is_controller_listener(services, call.session().listener)};
}

/// Asks the active controller; `done` runs on the asker's strand.
template <class Request>
void ask_controller(Services& services, const Asker& asker, Request request,
                    UniqueFunction<void(Result<typename Request::Response>)> done) {
  auto& channel =
      asker.here ? services.local_controller(*asker.strand) : services.controller(*asker.strand);
  controller::call_for(channel, asker.caller, std::move(request), std::move(done));
}

/// Passes a request on that was checked, and its answer back. `refuse(Error)` makes the response
/// for a request that nobody decided.
template <class Request, class Refuse>
void pass_to_controller(Services& services, Call<Request> call, Refuse refuse) {
  const Asker asker = asker_of(services, call);
  auto request = std::move(call.request);
  ask_controller(services, asker, std::move(request),
                 [call = std::move(call),
                  refuse = std::move(refuse)](Result<typename Request::Response> result) mutable {
                   call.reply(result.ok() ? *result : refuse(result.error()));
                 });
}

/// Kafka's words where the handler itself refuses.
inline constexpr const char* kAuthorizationFailed = "Authorization failed.";

}  // namespace broker::handlers
