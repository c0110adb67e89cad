#include "broker/controller/local_channel.h"

#include <utility>

namespace broker::controller {

void LocalChannel::send(ControllerRequest request, Done done) {
  home_.check_current();
  controller_.strand().post([this, request = std::move(request), done = std::move(done)]() mutable {
    controller_.handle(std::move(request), [&home = home_, done = std::move(done)](
                                               Result<ControllerResponse> result) mutable {
      home.post([done = std::move(done), result = std::move(result)]() mutable {
        done(std::move(result));
      });
    });
  });
}

}  // namespace broker::controller
