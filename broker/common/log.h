#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace broker {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

/// One named value of a log line. Numbers stay numbers in JSON.
struct LogField {
  std::string_view key;
  std::variant<std::string, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  template <class T>
  requires std::is_integral_v<T> LogField(std::string_view k, T v)
      : key(k), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
};

/// Writes one line to standard error: {"ts":…,"level":…,"logger":…,"msg":…,<fields>} or, after
/// set_log_format(kText), "2026-11-21T08:30:00.123Z INFO logger: msg key=value". Thread-safe.
/// `logger` is the module, e.g. "storage".
void log(LogLevel level, std::string_view logger, std::string_view message,
         std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view l, std::string_view m,
                      std::initializer_list<LogField> f = {}) {
  log(LogLevel::kDebug, l, m, f);
}
inline void log_info(std::string_view l, std::string_view m,
                     std::initializer_list<LogField> f = {}) {
  log(LogLevel::kInfo, l, m, f);
}
inline void log_warn(std::string_view l, std::string_view m,
                     std::initializer_list<LogField> f = {}) {
  log(LogLevel::kWarn, l, m, f);
}
inline void log_error(std::string_view l, std::string_view m,
                      std::initializer_list<LogField> f = {}) {
  log(LogLevel::kError, l, m, f);
}

enum class LogFormat { kJson, kText };
void set_log_format(LogFormat format);
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

}  // namespace broker
