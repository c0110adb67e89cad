#include "broker/common/rfc3339.h"

#include <cstdio>
#include <ctime>

namespace broker {

std::string to_rfc3339(std::chrono::microseconds since_epoch, Fraction fraction) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const std::time_t time = seconds.count();
  std::tm utc{};
  gmtime_r(&time, &utc);
  char day[40];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
  std::string text = day;
  if (fraction != Fraction::kNone) {
    char digits[16];
    std::snprintf(digits, sizeof digits, ".%06d",
                  static_cast<int>((since_epoch - seconds).count()));
    text.append(digits, 1 + static_cast<std::size_t>(fraction));
  }
  return text + "Z";
}

}  // namespace broker
