#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "broker/io/posix/event_loop.h"

namespace broker::io::posix {

/// Turns signals into calls on a loop. One per process; the old dispositions come back when it is
/// destroyed, which happens after the loop has stopped or on the loop.
class SignalWatcher {
 public:
  virtual ~SignalWatcher() = default;
};

std::unique_ptr<SignalWatcher> watch_signals(EventLoop& loop, std::vector<int> signals,
                                             std::function<void(int signal)> on_signal);

}  // namespace broker::io::posix
