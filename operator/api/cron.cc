#include "operator/api/cron.h"

#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

namespace op::api {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

namespace {

struct Field {
  const char* what;
  int low;
  int high;
  std::vector<std::string_view> names;  // from low on
};

const Field kFields[] = {
    {"minute", 0, 59, {}},
    {"hour", 0, 23, {}},
    {"day of the month", 1, 31, {}},
    {"month",
     1,
     12,
     {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
    {"day of the week", 0, 7, {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}};

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::toupper(static_cast<unsigned char>(a[i])) != b[i]) return false;
  return true;
}

std::optional<int> parse_value(std::string_view text, const Field& field) {
  for (std::size_t i = 0; i < field.names.size(); ++i)
    if (same_word(text, field.names[i])) return field.low + static_cast<int>(i);
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < field.low || value > field.high) return std::nullopt;
  return value;
}

/// "*", "5", "1-5", each perhaps with "/2".
std::optional<std::uint64_t> parse_part(std::string_view part, const Field& field) {
  int step = 1;
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  if (slash != std::string_view::npos) {
    const std::string_view digits = part.substr(slash + 1);
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
    if (code != std::errc() || end != digits.data() + digits.size() || step < 1)
      return std::nullopt;
  }
  int first = field.low;
  int last = field.high;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto from = parse_value(range.substr(0, dash), field);
    if (!from) return std::nullopt;
    first = *from;
    last = slash == std::string_view::npos ? *from : field.high;
    if (dash != std::string_view::npos) {
      const auto to = parse_value(range.substr(dash + 1), field);
      if (!to || *to < first) return std::nullopt;
      last = *to;
    }
  }
  std::uint64_t out = 0;
  for (int value = first; value <= last; value += step) out |= std::uint64_t{1} << value;
  return out;
}

Result<std::uint64_t> parse_field(std::string_view text, const Field& field) {
  std::uint64_t out = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const auto part = parse_part(text.substr(at, end - at), field);
    if (!part)
      return Error{ErrorCode::kInvalidRequest,
                   "\"" + std::string(text) + "\" is no " + field.what + " of a schedule"};
    out |= *part;
    at = end + 1;
  }
  return out;
}

}  // namespace

bool CronSchedule::has_day(int month, int day, int weekday) const {
  if ((months >> month & 1) == 0) return false;
  const bool by_day = (days >> day & 1) != 0;
  const bool by_weekday = (weekdays >> weekday & 1) != 0;
  return any_day || any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

Result<CronSchedule> parse_cron(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(" \t", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    at = end;
  }
  if (words.size() != 5)
    return Error{
        ErrorCode::kInvalidRequest,
        "\"" + std::string(text) +
            "\" wants five fields: minute, hour, day of the month, month, day of the week"};
  CronSchedule out;
  std::uint64_t* const fields[] = {&out.minutes, &out.hours, &out.days, &out.months, &out.weekdays};
  for (std::size_t i = 0; i < 5; ++i) {
    ASSIGN_OR_RETURN(*fields[i], parse_field(words[i], kFields[i]));
  }
  // Sunday has two numbers.
  out.weekdays = (out.weekdays | out.weekdays >> 7) & 0x7f;
  out.any_day = words[2][0] == '*';
  out.any_weekday = words[4][0] == '*';
  return out;
}

}  // namespace op::api
