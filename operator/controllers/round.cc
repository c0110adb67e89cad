#include "operator/controllers/round.h"

#include <utility>

namespace op::controllers {

bool Round::begin(std::size_t operations, std::function<void()> on_done) {
  const std::lock_guard lock(state_->mutex);
  if (operations == 0 || state_->open > 0) return false;
  if (std::chrono::steady_clock::now() < state_->not_before) return false;
  state_->open = operations;
  state_->refusal.clear();
  state_->on_done = std::move(on_done);
  return true;
}

std::function<void(const kafka::ItemResult&)> Round::answer(std::string what) {
  return [round = state_, what = std::move(what)](const kafka::ItemResult& result) {
    std::function<void()> on_done;
    {
      const std::lock_guard lock(round->mutex);
      if (result.code != broker::ErrorCode::kNone && round->refusal.empty()) {
        round->refusal = what + " was answered " + std::string(broker::error_name(result.code)) +
                         (result.message.empty() ? "" : ": " + result.message);
      }
      if (--round->open > 0) return;
      round->problem = std::exchange(round->refusal, {});
      if (!round->problem.empty())
        round->not_before = std::chrono::steady_clock::now() + kAfterRefusal;
      on_done = std::exchange(round->on_done, nullptr);
    }
    on_done();
  };
}

std::string Round::problem() const {
  const std::lock_guard lock(state_->mutex);
  return state_->problem;
}

}  // namespace op::controllers
