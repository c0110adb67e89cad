#pragma once

#include "broker/controller/channel.h"
#include "broker/controller/controller.h"
#include "broker/io/strand.h"

namespace broker::controller {

/// To the controller of the same process. One per broker strand: `home` is where send() is called
/// and where answers arrive. The controller must outlive what is under way: resign it, then drain
/// both strands.
class LocalChannel final : public ControllerChannel {
 public:
  LocalChannel(io::Strand& home, Controller& controller) : home_(home), controller_(controller) {}

  void send(ControllerRequest request, Done done) override {
    pass_on(std::nullopt, std::move(request), std::move(done));
  }
  void send_for(Caller caller, ControllerRequest request, Done done) override {
    pass_on(std::move(caller), std::move(request), std::move(done));
  }

 private:
  void pass_on(std::optional<Caller> caller, ControllerRequest request, Done done);

  io::Strand& home_;
  Controller& controller_;
};

}  // namespace broker::controller
