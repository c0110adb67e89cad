#include "broker/coordinator/transaction/types.h"

#include <array>

namespace broker::coordinator::transaction {

namespace {

constexpr std::array<std::string_view, 6> kNames{"Empty",        "Ongoing",        "PrepareCommit",
                                                 "PrepareAbort", "CompleteCommit", "CompleteAbort"};

}  // namespace

std::string_view state_name(State state) { return kNames[static_cast<std::size_t>(state)]; }

std::optional<State> parse_state(std::int8_t byte) {
  if (byte < 0 || static_cast<std::size_t>(byte) >= kNames.size()) return std::nullopt;
  return static_cast<State>(byte);
}

std::optional<State> parse_state_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<State>(i);
  return std::nullopt;
}

}  // namespace broker::coordinator::transaction
