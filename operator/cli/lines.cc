#include "operator/cli/lines.h"

namespace op::cli {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<void> Lines::take(std::string_view bytes, std::vector<NewRecord>& out) {
  while (true) {
    const std::size_t end = bytes.find('\n');
    if (end == std::string_view::npos) break;
    rest_.append(bytes.substr(0, end));
    bytes.remove_prefix(end + 1);
    std::string line;
    line.swap(rest_);
    RETURN_IF_ERROR(add(std::move(line), out));
  }
  rest_.append(bytes);
  return {};
}

Result<void> Lines::finish(std::vector<NewRecord>& out) {
  if (rest_.empty()) return {};
  std::string line;
  line.swap(rest_);
  return add(std::move(line), out);
}

Result<void> Lines::add(std::string line, std::vector<NewRecord>& out) {
  ++number_;
  if (separator_.empty()) {
    out.push_back({std::nullopt, std::move(line)});
    return {};
  }
  const std::size_t at = line.find(separator_);
  if (at == std::string::npos) {
    return Error{
        ErrorCode::kInvalidConfig,
        "line " + std::to_string(number_) + " has no key: there is no '" + separator_ + "' in it"};
  }
  out.push_back({line.substr(0, at), line.substr(at + separator_.size())});
  return {};
}

}  // namespace op::cli
