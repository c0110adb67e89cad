#include "operator/cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "operator/provider/resource_files.h"

namespace op::cli {

using broker::ErrorCode;

Terminal look_at_terminal(int fd) {
  Terminal terminal;
  if (isatty(fd) == 0) return terminal;
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  terminal.color = (no_color == nullptr || *no_color == '\0') &&
                   (term == nullptr || std::string_view(term) != "dumb");
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0) terminal.width = size.ws_col;
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr)
    if (const int width = std::atoi(columns); width > 0) terminal.width = width;
  return terminal;
}

bool print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

std::string document_text(Format format, const std::string& json) {
  if (format == Format::kYaml) return provider::to_yaml(json);
  return nlohmann::ordered_json::parse(json).dump(2) + "\n";
}

int exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNone:
      return kDone;
    case ErrorCode::kInvalidConfig:
      return kWrongUsage;
    case ErrorCode::kBrokerNotAvailable:
    case ErrorCode::kNetworkException:
    case ErrorCode::kRequestTimedOut:
      return kUnreachable;
    case ErrorCode::kResourceNotFound:
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kGroupIdNotFound:
      return kNotFound;
    case ErrorCode::kTopicAuthorizationFailed:
    case ErrorCode::kGroupAuthorizationFailed:
    case ErrorCode::kClusterAuthorizationFailed:
    case ErrorCode::kSaslAuthenticationFailed:
      return kNoAccess;
    default:
      return kFailed;
  }
}

int fail(const broker::Error& error) {
  const std::string what =
      error.detail.empty() ? std::string(error_name(error.code)) : error.detail;
  std::fflush(stdout);
  std::fprintf(stderr, "millrace: %s\n", what.c_str());
  return exit_code_of(error.code);
}

}  // namespace op::cli
