#pragma once

#include <cstdint>

#include "broker/common/rng.h"
#include "broker/common/time.h"

namespace op::reconcile {

struct BackoffOptions {
  broker::Duration base = std::chrono::milliseconds(50);
  broker::Duration max = std::chrono::seconds(60);
  double jitter = 0.2;  // of the delay, both ways
};

/// The pause before attempt `failures` + 1: base * 2^(failures-1), at most `max`, spread by
/// `jitter` so that what failed together does not return together. Zero for no failures.
broker::Duration backoff_delay(const BackoffOptions& options, std::uint32_t failures,
                               broker::Rng& rng);

}  // namespace op::reconcile
