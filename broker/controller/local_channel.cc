#include "broker/controller/local_channel.h"

#include <utility>

namespace broker::controller {

void LocalChannel::pass_on(std::optional<Caller> caller, ControllerRequest request, Done done) {
  home_.check_current();
  controller_.strand().post([this, caller = std::move(caller), request = std::move(request),
                             done = std::move(done)]() mutable {
    controller_.handle(
        std::move(request),
        [&home = home_, done = std::move(done)](Result<ControllerResponse> result) mutable {
          home.post([done = std::move(done), result = std::move(result)]() mutable {
            done(std::move(result));
          });
        },
        caller);
  });
}

}  // namespace broker::controller
