#pragma once

#include <string>

#include "broker/common/result.h"
#include "operator/cli/text.h"

namespace op::cli {

enum class Format { kTable, kJson, kYaml };

/// Standard output as it is: its width and colours when it is a terminal (NO_COLOR, COLUMNS are
/// honoured), plain and without limits otherwise.
Terminal look_at_terminal(int fd);
/// Writes all of it to standard output; false when its reader has gone.
bool print(const std::string& text);
/// One document: JSON text indented, or as YAML.
std::string document_text(Format format, const std::string& json);

/// Exit codes, for scripts.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kNotFound = 4;
inline constexpr int kNoAccess = 5;

int exit_code_of(broker::ErrorCode code);
/// "millrace: …" on standard error; returns the exit code.
int fail(const broker::Error& error);

}  // namespace op::cli
