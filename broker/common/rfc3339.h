#pragma once

#include <chrono>
#include <string>

namespace broker {

enum class Fraction { kNone = 0, kMillis = 3, kMicros = 6 };  // digits of a second

/// "2026-11-21T08:45:33.120Z": a time since the epoch in UTC (RFC 3339), cut off, not rounded.
std::string to_rfc3339(std::chrono::microseconds since_epoch, Fraction fraction = Fraction::kNone);

}  // namespace broker
