#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/api/cron.h"
#include "operator/plan/time_zone.h"

namespace op::plan {

/// An annotation of a Cluster: "true" and restarts wait for no window.
inline constexpr std::string_view kIgnoreWindowsAnnotation =
    "millrace.io/ignore-maintenance-windows";

struct Window {
  api::CronSchedule schedule;
  std::chrono::seconds duration{0};
  TimeZone zone;
};

/// When the window opens next, at that minute or later (seconds since 1970); nullopt: not within
/// five years. What the clock leaps over in spring is left out, what it repeats in autumn repeats.
std::optional<std::int64_t> next_opening(const Window& window, std::int64_t from);

struct WindowState {
  bool open = true;
  api::Timestamp opens;  // next; "" while open, and when none ever opens

  bool operator==(const WindowState&) const = default;
};
/// Without windows it is always open.
WindowState window_state(const std::vector<Window>& windows, std::int64_t now_ms);

}  // namespace op::plan
