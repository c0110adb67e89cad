#pragma once

#include <cstdint>
#include <string_view>

#include "broker/common/result.h"

namespace op::api {

/// "minute hour day-of-month month day-of-week", each *, a number, a range, a list of these, with
/// /step; months and days also by name (JAN, MON), Sunday 0 or 7. As in cron: where both days are
/// given, either will do.
struct CronSchedule {
  std::uint64_t minutes = 0;  // bit n: minute n
  std::uint64_t hours = 0;
  std::uint64_t days = 0;      // of the month
  std::uint64_t months = 0;    // 1 to 12
  std::uint64_t weekdays = 0;  // 0 is Sunday
  bool any_day = true;         // "*" as the day of the month
  bool any_weekday = true;

  bool operator==(const CronSchedule&) const = default;
  bool has_day(int month, int day, int weekday) const;
};
/// Errors: kInvalidRequest.
broker::Result<CronSchedule> parse_cron(std::string_view text);

}  // namespace op::api
