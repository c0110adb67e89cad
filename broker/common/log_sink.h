#pragma once

#include <functional>
#include <string_view>

#include "broker/common/log.h"

namespace broker {

/// Where log lines go instead of standard error: a simulation stamps them with its own clock, a
/// test keeps quiet. `text`: the message and its fields as key=value. nullptr: standard error
/// again. Not thread-safe: to be set while one thread runs.
using LogSink = std::function<void(LogLevel level, std::string_view logger, std::string_view text)>;
void set_log_sink(LogSink sink);

}  // namespace broker
