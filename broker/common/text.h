#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace broker {

/// Without blanks, tabs and line ends around it.
std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// ASCII only.
std::string upper(std::string_view text);
std::string lower(std::string_view text);

}  // namespace broker
