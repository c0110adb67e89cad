#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/meta.h"

namespace op::plan {

/// Why, as the user sees it: `reason` is one of api::reason.
struct Verdict {
  std::string_view reason;
  std::string message;

  bool operator==(const Verdict&) const = default;
};

/// Sets Ready (and Stalled where `stalled`) for this generation. Transition times move only when
/// the status does.
void set_ready(std::vector<api::Condition>& conditions, bool ready, const Verdict& verdict,
               std::int64_t generation, const api::Timestamp& now);
bool is_ready(const std::vector<api::Condition>& conditions);

/// RFC 3339 text of a wall clock, as conditions carry it.
api::Timestamp to_timestamp(std::int64_t wall_ms);
/// The other way, to the second; 0 for what is no such text.
std::int64_t to_wall_ms(const api::Timestamp& timestamp);

}  // namespace op::plan
