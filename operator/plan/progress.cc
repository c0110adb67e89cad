#include "operator/plan/progress.h"

#include <array>
#include <cstdio>

#include "operator/plan/types.h"

namespace op::plan {

std::string human_bytes(std::int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, value < 9.95 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return buffer;
}

std::string human_duration(std::int64_t seconds) {
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) {
    const std::int64_t rest = seconds % 60 / 10 * 10;
    return std::to_string(seconds / 60) + "m" + (rest ? std::to_string(rest) + "s" : "");
  }
  const std::int64_t minutes = seconds % 3600 / 60;
  return std::to_string(seconds / 3600) + "h" + (minutes ? std::to_string(minutes) + "m" : "");
}

std::string estimate(std::int64_t done, std::int64_t total, const api::Timestamp& started_at,
                     const api::Timestamp& now) {
  const std::int64_t elapsed_ms = to_wall_ms(now) - to_wall_ms(started_at);
  if (started_at.empty() || done <= 0 || total <= done || elapsed_ms < 2000) return "";
  const double left = static_cast<double>(total - done) / static_cast<double>(done);
  return human_duration(
      static_cast<std::int64_t>(left * static_cast<double>(elapsed_ms) / 1000 + 0.5));
}

}  // namespace op::plan
