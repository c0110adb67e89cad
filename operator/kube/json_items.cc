#include "operator/kube/json_items.h"

namespace op::kube {
namespace {

constexpr auto kNone = std::string_view::npos;

std::size_t skip_space(std::string_view s, std::size_t at) {
  while (at < s.size() && (s[at] == ' ' || s[at] == '\n' || s[at] == '\t' || s[at] == '\r')) ++at;
  return at;
}

/// The position after the string that starts at `at`.
std::size_t end_of_string(std::string_view s, std::size_t at) {
  for (++at; at < s.size(); ++at) {
    if (s[at] == '\\') {
      ++at;
    } else if (s[at] == '"') {
      return at + 1;
    }
  }
  return kNone;
}

/// The position after the value that starts at `at`.
std::size_t end_of_value(std::string_view s, std::size_t at) {
  if (at >= s.size()) return kNone;
  if (s[at] == '"') return end_of_string(s, at);
  if (s[at] != '{' && s[at] != '[') {
    while (at < s.size() && s[at] != ',' && s[at] != '}' && s[at] != ']') ++at;
    return at;
  }
  int depth = 0;
  while (at < s.size()) {
    const char c = s[at];
    if (c == '"') {
      at = end_of_string(s, at);
      if (at == kNone) return kNone;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return at + 1;
    ++at;
  }
  return kNone;
}

bool each_item(std::string_view array, const std::function<void(std::string_view)>& on_item) {
  std::size_t at = skip_space(array, 1);
  while (at < array.size() && array[at] != ']') {
    const std::size_t end = end_of_value(array, at);
    if (end == kNone) return false;
    on_item(array.substr(at, end - at));
    at = skip_space(array, end);
    if (at < array.size() && array[at] == ',') at = skip_space(array, at + 1);
  }
  return at < array.size();
}

}  // namespace

broker::Result<std::string> split_items(std::string_view s,
                                        const std::function<void(std::string_view)>& on_item) {
  const broker::Error malformed{broker::ErrorCode::kInvalidRequest, "a list that is not JSON"};
  std::string metadata;
  std::size_t at = skip_space(s, 0);
  if (at >= s.size() || s[at] != '{') return malformed;
  at = skip_space(s, at + 1);
  while (at < s.size() && s[at] != '}') {
    if (s[at] != '"') return malformed;
    const std::size_t key_end = end_of_string(s, at);
    if (key_end == kNone) return malformed;
    const std::string_view key = s.substr(at + 1, key_end - at - 2);
    at = skip_space(s, key_end);
    if (at >= s.size() || s[at] != ':') return malformed;
    at = skip_space(s, at + 1);
    const std::size_t end = end_of_value(s, at);
    if (end == kNone) return malformed;
    const std::string_view value = s.substr(at, end - at);
    if (key == "metadata") metadata = value;
    if (key == "items" && value.front() == '[' && !each_item(value, on_item)) return malformed;
    at = skip_space(s, end);
    if (at < s.size() && s[at] == ',') at = skip_space(s, at + 1);
  }
  if (at >= s.size()) return malformed;
  return metadata;
}

}  // namespace op::kube
