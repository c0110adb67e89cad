#pragma once

#include <charconv>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker::storage {

/// The whole of `text` as a decimal number.
template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view text, char separator);

/// The lines of a checkpoint file behind its version 0 and their count. Errors: kKafkaStorageError
/// when version or count is wrong.
Result<std::vector<std::string_view>> checkpoint_lines(std::string_view text);

}  // namespace broker::storage
