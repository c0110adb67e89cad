#pragma once

#include <chrono>
#include <cstdint>

namespace broker {

/// Monotonic time: timeouts, back-off and lag are measured with it. The wall clock may jump; this
/// does not.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Wall-clock milliseconds since 1970, as records, certificates and status fields carry it.
using WallMs = std::int64_t;

}  // namespace broker
