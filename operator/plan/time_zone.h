#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace op::plan {

/// How far local time is from UTC, now and for ever: a TZif file (RFC 8536) as the tz database has
/// them. Pure: somebody else reads the file.
class TimeZone {
 public:
  static TimeZone utc() { return {}; }
  /// nullopt: these bytes are no such file.
  static std::optional<TimeZone> parse(std::string_view bytes);

  /// Seconds to be added to UTC at that moment (seconds since 1970).
  std::int64_t offset_at(std::int64_t utc) const;

 private:
  /// "M3.5.0/2": a day of the year and a second of it, each year anew.
  struct YearDay {
    enum class Kind { kJulian, kZeroBased, kWeekday } kind = Kind::kZeroBased;
    int month = 1;
    int week = 1;
    int day = 0;
    std::int64_t second = 7200;
  };
  /// The POSIX rule at the end of the file: for all time after the last transition.
  struct Rule {
    std::int64_t standard = 0;
    std::optional<std::int64_t> summer;
    YearDay begins, ends;  // of summer time, in the local time before it
  };
  friend class RuleReader;

  static std::int64_t start_of(const YearDay& day, int year);
  std::int64_t by_rule(std::int64_t utc) const;

  std::vector<std::pair<std::int64_t, std::int64_t>> transitions_;  // from then on: offset
  std::int64_t before_ = 0;
  std::optional<Rule> rule_;
};

/// Days since 1970-01-01 of a date of the Gregorian calendar, and the other way.
std::int64_t days_of(int year, int month, int day);
struct Date {
  int year = 1970;
  int month = 1;
  int day = 1;
};
Date date_of(std::int64_t days);

}  // namespace op::plan
