#include "operator/reconcile/lease_rule.h"

#include <algorithm>

namespace op::reconcile {

LeaseOptions LeaseOptions::lasting(std::chrono::seconds duration) {
  const broker::Duration whole = duration;
  const broker::Duration longest = std::chrono::seconds(2);
  return {whole, whole * 2 / 3, std::min(longest, whole / 6)};
}

LeaseAction LeaseRule::observe(const std::optional<LeaseRecord>& record, broker::Instant now) {
  if (!record || record->holder.empty()) {
    seen_ = record;
    seen_at_ = now;
    return LeaseAction::kAcquire;
  }
  if (!seen_ || *seen_ != *record) {
    seen_ = record;
    seen_at_ = now;
  }
  if (record->holder == identity_) return LeaseAction::kRenew;
  renewed_at_.reset();
  const auto duration =
      record->duration_s > 0 ? std::chrono::seconds(record->duration_s) : options_.duration;
  return now - seen_at_ >= duration ? LeaseAction::kAcquire : LeaseAction::kWait;
}

void LeaseRule::wrote(broker::Instant started, std::string version) {
  renewed_at_ = started;
  if (!seen_) seen_.emplace();
  seen_->holder = identity_;
  seen_->version = std::move(version);
  seen_at_ = started;
}

void LeaseRule::lost() { renewed_at_.reset(); }

bool LeaseRule::may_act(broker::Instant now) const {
  return renewed_at_ && now - *renewed_at_ < options_.renew_deadline;
}

}  // namespace op::reconcile
