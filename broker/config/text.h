#pragma once

#include <string>
#include <string_view>

#include "broker/common/result.h"
#include "broker/common/text.h"

namespace broker::config {

/// "listener.name.internal.", before the keys that are meant for one listener.
std::string listener_prefix(std::string_view listener);
/// kInvalidConfig, naming the key and what is wrong with its value.
Error bad_value(std::string_view key, const std::string& why);

}  // namespace broker::config
