#pragma once

#include <string_view>

namespace broker {

inline constexpr std::string_view kGroupOffsetsTopic = "__consumer_offsets";
inline constexpr std::string_view kTransactionStateTopic = "__transaction_state";
inline constexpr std::string_view kShareStateTopic = "__share_group_state";

/// [a-zA-Z0-9._-]{1,249}, not "." or "..".
constexpr bool is_valid_topic_name(std::string_view name) {
  if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
  for (const char c : name) {
    const bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    if (!legal) return false;
  }
  return true;
}

/// Topics that coordinators write; clients see them as internal and may not produce to them.
constexpr bool is_internal_topic(std::string_view name) {
  return name == kGroupOffsetsTopic || name == kTransactionStateTopic || name == kShareStateTopic;
}

}  // namespace broker
