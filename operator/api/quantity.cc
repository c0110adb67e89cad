#include "operator/api/quantity.h"

#include <array>
#include <charconv>
#include <limits>
#include <string>
#include <utility>

namespace op::api {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<std::int64_t> parse_bytes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 11> kUnits{{
      {"", 1},
      {"k", 1000},
      {"M", 1000'000},
      {"G", 1000'000'000},
      {"T", 1000'000'000'000},
      {"P", 1000'000'000'000'000},
      {"Ki", std::int64_t{1} << 10},
      {"Mi", std::int64_t{1} << 20},
      {"Gi", std::int64_t{1} << 30},
      {"Ti", std::int64_t{1} << 40},
      {"Pi", std::int64_t{1} << 50},
  }};
  const Error bad{ErrorCode::kInvalidRequest,
                  "\"" + std::string(text) + "\" is not a quantity of bytes like 50Mi"};
  double number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || number < 0) return bad;
  const std::string_view unit = text.substr(end - text.data());
  for (const auto& [name, factor] : kUnits) {
    if (name != unit) continue;
    const double bytes = number * static_cast<double>(factor);
    if (bytes >= static_cast<double>(std::numeric_limits<std::int64_t>::max())) return bad;
    return static_cast<std::int64_t>(bytes);
  }
  return bad;
}

namespace {

std::int64_t seconds_of(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 86400;
    default:
      return 0;
  }
}

}  // namespace

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  const Error bad{ErrorCode::kInvalidRequest,
                  "\"" + std::string(text) + "\" is not a duration like 90s, 10m, 2h or 365d"};
  constexpr std::int64_t kLongest = std::int64_t{86400} * 366 * 1000;
  if (text.empty()) return bad;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::size_t digits = end - text.data();
    if (ec != std::errc{} || number < 0 || digits == text.size() || number > kLongest) return bad;
    const std::int64_t unit = seconds_of(text[digits]);
    if (unit == 0 || number > kLongest / unit) return bad;
    total += number * unit;
    if (total > kLongest) return bad;
    text.remove_prefix(digits + 1);
  }
  return std::chrono::seconds{total};
}

}  // namespace op::api
