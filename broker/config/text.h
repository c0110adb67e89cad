#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker::config {

/// Without blanks, tabs and line ends around it.
std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// ASCII only.
std::string upper(std::string_view text);
std::string lower(std::string_view text);
/// "listener.name.internal.", before the keys that are meant for one listener.
std::string listener_prefix(std::string_view listener);
/// kInvalidConfig, naming the key and what is wrong with its value.
Error bad_value(std::string_view key, const std::string& why);

}  // namespace broker::config
