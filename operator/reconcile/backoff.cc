#include "operator/reconcile/backoff.h"

#include <algorithm>

namespace op::reconcile {

broker::Duration backoff_delay(const BackoffOptions& options, std::uint32_t failures,
                               broker::Rng& rng) {
  if (failures == 0) return broker::Duration::zero();
  const auto doublings = std::min<std::uint32_t>(failures - 1, 30);
  const double wanted = static_cast<double>(options.base.count()) * (1ULL << doublings);
  const double capped = std::min(wanted, static_cast<double>(options.max.count()));
  const double unit = static_cast<double>(rng.below(2'000'001)) / 1'000'000.0 - 1.0;  // -1 … 1
  return broker::Duration(
      static_cast<broker::Duration::rep>(capped * (1.0 + options.jitter * unit)));
}

}  // namespace op::reconcile
