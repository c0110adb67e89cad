#include "operator/cli/roll_watch.h"

namespace op::cli {
namespace {

const api::Condition* ready_of(const api::ClusterStatus& status) {
  return api::find_condition(status.conditions, api::condition::kReady);
}

bool is_ready(const api::ClusterStatus& status) {
  const api::Condition* ready = ready_of(status);
  return ready != nullptr && ready->status == api::ConditionStatus::kTrue;
}

/// Reasons that do not go away by waiting.
bool needs_help(std::string_view reason) {
  return reason == api::reason::kPodFailing || reason == api::reason::kPodUnschedulable ||
         reason == api::reason::kInvalid || reason == api::reason::kNotSupportedYet;
}

}  // namespace

void RollWatch::look(const api::ClusterStatus& status) {
  const api::Condition* ready = ready_of(status);
  message_ = ready == nullptr ? "" : ready->message;
  stuck_ = ready != nullptr && !is_ready(status) && needs_help(ready->reason);
  if (status.roll) {
    phase_ = Phase::kRolling;
    done_ = status.roll->done;
    total_ = status.roll->total;
    if (!status.roll->waiting_for.empty() && !stuck_) message_ = status.roll->waiting_for;
    return;
  }
  if (phase_ == Phase::kRolling) {
    if (is_ready(status)) {
      phase_ = Phase::kDone;
      done_ = total_;
    }
    return;
  }
  // A short one may come and go between two looks: what Ready has been through is the evidence.
  const api::Condition* was = ready_of(before_);
  const bool was_away = was != nullptr && ready != nullptr && is_ready(before_) &&
                        is_ready(status) &&
                        ready->last_transition_time != was->last_transition_time;
  if (was_away) phase_ = Phase::kDone;
}

}  // namespace op::cli
