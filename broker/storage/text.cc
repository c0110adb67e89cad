#include "broker/storage/text.h"

namespace broker::storage {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Result<std::vector<std::string_view>> checkpoint_lines(std::string_view text) {
  auto lines = split(text, '\n');
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::size_t count = 0;
  if (lines.size() < 2 || lines[0] != "0" || !parse_number(lines[1], count)) {
    return Error{ErrorCode::kKafkaStorageError, "a checkpoint file must begin with version 0"};
  }
  lines.erase(lines.begin(), lines.begin() + 2);
  if (lines.size() != count) {
    return Error{ErrorCode::kKafkaStorageError, "a checkpoint file promises " +
                                                    std::to_string(count) + " lines and has " +
                                                    std::to_string(lines.size())};
  }
  return lines;
}

}  // namespace broker::storage
