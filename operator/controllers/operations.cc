#include "operator/controllers/operations.h"

#include <algorithm>

namespace op::controllers {

using reconcile::WorkKey;
using std::chrono::steady_clock;

std::function<void(const kafka::ItemResult&)> Operations::begin(const WorkKey& key,
                                                                std::int64_t generation) {
  const std::lock_guard lock(mutex_);
  State& state = states_[key];
  if (state.generation != generation) state = State{.in_flight = state.in_flight};
  if (state.in_flight == 0) state.round_refusal.reset();
  state.generation = generation;
  ++state.in_flight;
  return [this, key](const kafka::ItemResult& result) {
    bool idle = false;
    {
      const std::lock_guard inner(mutex_);
      State& s = states_[key];
      if (result.code != broker::ErrorCode::kNone && !s.round_refusal) s.round_refusal = result;
      idle = --s.in_flight == 0;
      if (idle) {
        const auto now = steady_clock::now();
        s.refusal = s.round_refusal;
        s.unseen = !s.refusal;
        if (s.refusal) {
          const auto pause = kFirstPause * (1 << std::min(s.refusals++, 6));
          s.until = now + std::min<broker::Duration>(pause, kMaxPause);
        } else {
          s.refusals = 0;
          s.until = now + kUnseenLimit;
        }
      }
    }
    if (idle) on_idle_(key);
  };
}

Operations::Phase Operations::phase(const WorkKey& key, std::int64_t generation,
                                    broker::Instant now) {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(key);
  if (found == states_.end()) return Phase::kFree;
  State& state = found->second;
  if (state.in_flight > 0) return Phase::kInFlight;
  if (state.generation != generation || now >= state.until) return Phase::kFree;
  if (state.refusal) return Phase::kRefused;
  return state.unseen ? Phase::kUnseen : Phase::kFree;
}

std::optional<kafka::ItemResult> Operations::refusal(const WorkKey& key,
                                                     std::int64_t generation) const {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(key);
  if (found == states_.end() || found->second.generation != generation) return std::nullopt;
  return found->second.refusal;
}

broker::Duration Operations::wait(const WorkKey& key, broker::Instant now) const {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(key);
  if (found == states_.end() || found->second.until <= now) return broker::Duration::zero();
  return found->second.until - now;
}

void Operations::settle(const WorkKey& key) {
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(key);
  if (found != states_.end() && found->second.in_flight == 0) states_.erase(found);
}

}  // namespace op::controllers
