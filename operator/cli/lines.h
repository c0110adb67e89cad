#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "operator/cli/producer.h"

namespace op::cli {

/// Makes records of lines that arrive in any pieces: "value", or "key<separator>value". Pure.
/// Errors: kInvalidConfig for a line without the separator, with its number.
class Lines {
 public:
  explicit Lines(std::string key_separator) : separator_(std::move(key_separator)) {}

  broker::Result<void> take(std::string_view bytes, std::vector<NewRecord>& out);
  /// A last line without an end of line counts too.
  broker::Result<void> finish(std::vector<NewRecord>& out);

 private:
  broker::Result<void> add(std::string line, std::vector<NewRecord>& out);

  const std::string separator_;  // "": no keys
  std::string rest_;
  std::int64_t number_ = 0;
};

}  // namespace op::cli
