#pragma once

#include <algorithm>

#include "broker/common/time.h"

namespace op::reconcile {

/// A token bucket: `rate_per_s` on average, `burst` at once. Pure; the caller holds its lock.
class RateLimit {
 public:
  RateLimit(double rate_per_s, double burst, broker::Instant now)
      : rate_per_s_(rate_per_s), burst_(burst), tokens_(burst), at_(now) {}

  /// Takes a token and returns zero, or says how long to wait for one (and takes none).
  broker::Duration try_take(broker::Instant now) {
    const double elapsed_s = std::chrono::duration<double>(now - at_).count();
    tokens_ = std::min(burst_, tokens_ + elapsed_s * rate_per_s_);
    at_ = now;
    if (tokens_ >= 1.0) {
      tokens_ -= 1.0;
      return broker::Duration::zero();
    }
    return std::chrono::duration_cast<broker::Duration>(
        std::chrono::duration<double>((1.0 - tokens_) / rate_per_s_));
  }

 private:
  const double rate_per_s_;
  const double burst_;
  double tokens_;
  broker::Instant at_;
};

}  // namespace op::reconcile
