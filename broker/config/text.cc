#include "broker/config/text.h"

namespace broker::config {

std::string listener_prefix(std::string_view listener) {
  return "listener.name." + lower(listener) + ".";
}

Error bad_value(std::string_view key, const std::string& why) {
  return {ErrorCode::kInvalidConfig, std::string(key) + ": " + why};
}

}  // namespace broker::config
