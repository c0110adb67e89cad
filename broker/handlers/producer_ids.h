#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/controller/channel.h"
#include "broker/io/strand.h"

namespace broker::handlers {

/// Producer ids from blocks of a thousand that the controller hands to this broker (KIP-730).
/// Lives on one strand; next() may be called from any of the node's strands.
class ProducerIds {
 public:
  /// `channel` answers on `home`. `broker`: id and epoch of the present registration.
  ProducerIds(io::Strand& home, controller::ControllerChannel& channel,
              std::function<std::pair<BrokerId, BrokerEpoch>()> broker);

  /// `done` runs on `caller`. Errors: kCoordinatorLoadInProgress while no block can be had (clients
  /// retry).
  void next(io::Strand& caller, UniqueFunction<void(Result<ProducerId>)> done);

 private:
  struct Waiter {
    io::Strand* caller;
    UniqueFunction<void(Result<ProducerId>)> done;
  };
  void serve();
  void request_block();

  io::Strand& home_;
  controller::ControllerChannel& channel_;
  const std::function<std::pair<BrokerId, BrokerEpoch>()> broker_;
  std::int64_t next_ = 0;
  std::int64_t end_ = 0;
  bool requesting_ = false;
  std::deque<Waiter> waiters_;
};

}  // namespace broker::handlers
