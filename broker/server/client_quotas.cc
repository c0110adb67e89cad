#include "broker/server/client_quotas.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace broker::server {
namespace {

using std::chrono::milliseconds;

/// As Kafka forgets the sensors of clients that are gone.
constexpr std::chrono::hours kForgetAfter{1};

milliseconds rounded(double ms) {
  // No longer than an answer can say.
  constexpr double kMax = std::numeric_limits<std::int32_t>::max();
  return milliseconds(static_cast<std::int64_t>(std::round(std::clamp(ms, 0.0, kMax))));
}

}  // namespace

class QuotaBucket {
 public:
  QuotaBucket(RateWindow window, Instant now)
      : rate_(window), throttles_(window), last_used_(now) {}

  /// How long until the rate, looked at over the same window, is back at the limit.
  milliseconds charge(double amount, double limit, milliseconds at_most, Instant now) {
    const std::lock_guard lock(mutex_);
    last_used_ = now;
    rate_.record(amount, now);
    const double observed = rate_.per_second(now);
    if (!(observed > limit)) return milliseconds(0);
    const auto over = static_cast<double>(rate_.length(now).count());
    const milliseconds throttle = std::min(rounded((observed - limit) / limit * over), at_most);
    throttles_.record(static_cast<double>(throttle.count()), now);
    return throttle;
  }
  void take_back(double amount, Instant now) {
    const std::lock_guard lock(mutex_);
    rate_.record(-amount, now);
  }
  void read(Instant now, ClientQuotas::Usage& out) {
    const std::lock_guard lock(mutex_);
    out.per_second = rate_.per_second(now);
    out.average_throttle_ms = throttles_.average(now);
  }
  bool idle_since(Instant when) {
    const std::lock_guard lock(mutex_);
    return last_used_ < when;
  }

 private:
  std::mutex mutex_;
  SampledRate rate_;
  SampledRate throttles_;
  Instant last_used_;
};

ClientQuotas::ClientQuotas(Options options)
    : options_(options), limits_(std::make_shared<const metadata::ClientQuotasImage>()) {}

ClientQuotas::~ClientQuotas() = default;

void ClientQuotas::set_limits(const metadata::ClientQuotasImage& quotas) {
  std::uint32_t kinds = 0;
  for (const auto& [entity, values] : quotas.by_entity)
    for (std::size_t i = 0; i < metadata::kQuotaKinds; ++i)
      if (const auto kind = static_cast<QuotaKind>(i);
          values.contains(std::string(metadata::quota_key(kind))))
        kinds |= bit(kind);
  limits_.set(std::make_shared<const metadata::ClientQuotasImage>(quotas));
  // After the limits: whoever sees the new version finds them.
  version_.fetch_add(1, std::memory_order_release);
  kinds_.store(kinds, std::memory_order_relaxed);
}

milliseconds ClientQuotas::charge(QuotaKind kind, const QuotaClient& client, double amount,
                                  Instant now) {
  if (!limits(kind)) return milliseconds(0);
  const auto mine = share(kind, client, now);
  if (mine.bucket == nullptr) return milliseconds(0);
  const auto at_most = kind == QuotaKind::kRequest ? options_.window.sample : milliseconds::max();
  return mine.bucket->charge(amount, mine.limit, at_most, now);
}

void ClientQuotas::take_back(QuotaKind kind, const QuotaClient& client, double amount,
                             Instant now) {
  if (!limits(kind)) return;
  if (const auto mine = share(kind, client, now); mine.bucket != nullptr)
    mine.bucket->take_back(amount, now);
}

std::optional<double> ClientQuotas::burst(QuotaKind kind, const QuotaClient& client, Instant now) {
  if (!limits(kind)) return std::nullopt;
  const auto mine = share(kind, client, now);
  if (mine.bucket == nullptr) return std::nullopt;
  const auto window = (options_.window.samples - 1) * options_.window.sample;
  return mine.limit * std::chrono::duration<double>(window).count();
}

QuotaShares::Share ClientQuotas::share(QuotaKind kind, const QuotaClient& client, Instant now) {
  if (client.shares == nullptr) return find(kind, client.user, client.client_id, now);
  QuotaShares& known = *client.shares;
  const std::uint64_t version = version_.load(std::memory_order_acquire);
  if (known.version != version || known.client_id != client.client_id || known.user != client.user)
    known = {version, client.user, client.client_id, {}};
  auto& share = known.by_kind[static_cast<std::size_t>(kind)];
  if (!share) share = find(kind, client.user, client.client_id, now);
  return *share;
}

QuotaShares::Share ClientQuotas::find(QuotaKind kind, const std::string& user,
                                      const std::string& client_id, Instant now) {
  auto match = metadata::find_quota(*limits_.get(), kind, user, client_id);
  if (!match) return {};
  const std::lock_guard lock(mutex_);
  auto& bucket = buckets_[{kind, std::move(match->user), std::move(match->client_id)}];
  if (bucket == nullptr) {
    bucket = std::make_shared<QuotaBucket>(options_.window, now);
    if (const auto made = bucket; buckets_.size() >= look_at_size_) {
      forget_idle(now);
      return {made, match->limit};
    }
  }
  return {bucket, match->limit};
}

void ClientQuotas::forget_idle(Instant now) {
  std::erase_if(buckets_,
                [&](const auto& entry) { return entry.second->idle_since(now - kForgetAfter); });
  // Whoever holds a forgotten one looks again: a quota is not to be counted in two places.
  version_.fetch_add(1, std::memory_order_release);
  look_at_size_ = std::max<std::size_t>(1024, buckets_.size() * 2);
}

std::vector<ClientQuotas::Usage> ClientQuotas::usage(Instant now) const {
  std::vector<std::pair<Name, std::shared_ptr<QuotaBucket>>> buckets;
  {
    const std::lock_guard lock(mutex_);
    buckets.assign(buckets_.begin(), buckets_.end());
  }
  std::vector<Usage> out;
  for (const auto& [name, bucket] : buckets) {
    Usage& usage = out.emplace_back(Usage{name.kind, name.user, name.client_id, 0, 0});
    bucket->read(now, usage);
  }
  return out;
}

}  // namespace broker::server
