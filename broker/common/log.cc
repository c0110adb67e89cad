#include "broker/common/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <utility>

#include "broker/common/log_sink.h"
#include "broker/common/rfc3339.h"

namespace broker {
namespace {

std::atomic<LogFormat> g_format{LogFormat::kJson};
std::atomic<LogLevel> g_level{LogLevel::kInfo};
LogSink g_sink;

constexpr std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "?";
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char escaped[8];
          std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
          out += escaped;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

std::string timestamp() {
  return to_rfc3339(std::chrono::duration_cast<std::chrono::microseconds>(
                        std::chrono::system_clock::now().time_since_epoch()),
                    Fraction::kMillis);
}

std::string plain(const LogField& field) {
  if (const auto* s = std::get_if<std::string>(&field.value)) return *s;
  if (const auto* i = std::get_if<std::int64_t>(&field.value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&field.value)) return std::to_string(*d);
  return std::get<bool>(field.value) ? "true" : "false";
}

}  // namespace

void set_log_format(LogFormat format) { g_format = format; }
void set_log_level(LogLevel level) { g_level = level; }
void set_log_sink(LogSink sink) { g_sink = std::move(sink); }
bool log_enabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view logger, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (!log_enabled(level)) return;
  std::string line;
  if (g_sink) {
    line = message;
    for (const LogField& f : fields) line += " " + std::string(f.key) + "=" + plain(f);
    return g_sink(level, logger, line);
  }
  if (g_format.load(std::memory_order_relaxed) == LogFormat::kText) {
    line = timestamp() + " " + std::string(level_name(level)) + " " + std::string(logger) + ": " +
           std::string(message);
    for (const LogField& f : fields) line += " " + std::string(f.key) + "=" + plain(f);
  } else {
    line = "{\"ts\":\"" + timestamp() + "\",\"level\":\"" + std::string(level_name(level)) +
           "\",\"logger\":";
    append_json_string(line, logger);
    line += ",\"msg\":";
    append_json_string(line, message);
    for (const LogField& f : fields) {
      line += ',';
      append_json_string(line, f.key);
      line += ':';
      if (std::holds_alternative<std::string>(f.value)) {
        append_json_string(line, std::get<std::string>(f.value));
      } else {
        line += plain(f);
      }
    }
    line += '}';
  }
  line += '\n';
  // One write per line: lines of different threads never mix.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace broker
