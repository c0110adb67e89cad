#include "broker/common/result.h"

namespace broker {

std::string to_string(const Error& error) {
  std::string text(error_name(error.code));
  if (!error.detail.empty()) text += ": " + error.detail;
  return text;
}

}  // namespace broker
