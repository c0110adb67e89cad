#include "broker/controller/mutation_quota.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "broker/controller/types.h"

namespace broker::controller {
namespace {

constexpr std::chrono::hours kForgetAfter{1};

}  // namespace

Result<void> DecideContext::charge_partitions(std::size_t count) const {
  if (mutation_quota == nullptr) return {};
  return mutation_quota->charge(static_cast<std::int64_t>(count));
}

std::optional<std::int16_t> last_lenient_version(protocol::ApiKey key) {
  switch (key) {
    case protocol::ApiKey::kCreateTopics:
      return 5;
    case protocol::ApiKey::kDeleteTopics:
      return 4;
    case protocol::ApiKey::kCreatePartitions:
      return 2;
    default:
      return std::nullopt;
  }
}

Result<void> MutationQuota::charge(std::int64_t partitions) {
  const auto wait = [&](double level) {
    constexpr double kMax = std::numeric_limits<std::int32_t>::max();
    const double ms = std::min(std::round(-level / limit_ * 1000), kMax);
    return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  };
  if (strict_) {
    if (const double level = bucket_.level(limit_, now_); level < 0) {
      throttle_ = wait(level);
      return Error{ErrorCode::kThrottlingQuotaExceeded, "The throttling quota has been exceeded."};
    }
  }
  bucket_.record(static_cast<double>(partitions), limit_, now_);
  if (const double level = bucket_.level(limit_, now_); !strict_ && level < 0)
    throttle_ = wait(level);
  return {};
}

std::optional<MutationQuota> MutationQuotas::of(const metadata::ClientQuotasImage& quotas,
                                                const Caller& caller, Instant now) {
  auto match = metadata::find_quota(quotas, metadata::QuotaKind::kControllerMutation,
                                    caller.principal.name, caller.client_id);
  // Not a number: limits nothing, as in Kafka.
  if (!match || std::isnan(match->limit)) return std::nullopt;
  if (buckets_.size() >= look_at_size_) {
    std::erase_if(buckets_, [&](const auto& b) { return b.second.last_used < now - kForgetAfter; });
    look_at_size_ = std::max<std::size_t>(1024, buckets_.size() * 2);
  }
  const auto [at, is_new] = buckets_.try_emplace(
      {std::move(match->user), std::move(match->client_id)}, Bucket{TokenBucket(window_), now});
  at->second.last_used = now;
  return MutationQuota(at->second.tokens, match->limit, caller.strict_quota, now);
}

}  // namespace broker::controller
