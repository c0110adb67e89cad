#include "operator/plan/maintenance.h"

#include <algorithm>

#include "operator/plan/types.h"

namespace op::plan {

namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 3'600;
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kHorizon = 5 * 366 * kDay;

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return (a >= 0 ? a : a - b + 1) / b; }

}  // namespace

std::optional<std::int64_t> next_opening(const Window& window, std::int64_t from) {
  std::int64_t at = floor_div(from + kMinute - 1, kMinute) * kMinute;
  while (at < from + kHorizon) {
    const std::int64_t local = at + window.zone.offset_at(at);
    const std::int64_t days = floor_div(local, kDay);
    const std::int64_t second = local - days * kDay;
    const Date date = date_of(days);
    const auto weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
    if (!window.schedule.has_day(date.month, date.day, weekday)) {
      // Not over midnight in one leap: where the clock is put forward there, an hour would be lost.
      at += second < 22 * kHour ? 22 * kHour - second : std::min(kHour, kDay - second);
    } else if ((window.schedule.hours >> (second / kHour) & 1) == 0) {
      at += kHour - second % kHour;
    } else if ((window.schedule.minutes >> (second % kHour / kMinute) & 1) == 0) {
      at += kMinute;
    } else {
      return at;
    }
  }
  return std::nullopt;
}

WindowState window_state(const std::vector<Window>& windows, std::int64_t now_ms) {
  if (windows.empty()) return {};
  const std::int64_t now = floor_div(now_ms, 1000);
  std::optional<std::int64_t> first;
  for (const Window& window : windows) {
    const auto latest = next_opening(window, now - window.duration.count() + 1);
    if (latest && *latest <= now) return {};
    if (latest && (!first || *latest < *first)) first = latest;
  }
  return {false, first ? to_timestamp(*first * 1000) : ""};
}

}  // namespace op::plan
