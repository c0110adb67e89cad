#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "broker/common/rate.h"
#include "broker/controller/channel.h"
#include "broker/metadata/client_quotas.h"
#include "broker/protocol/api_key.h"

namespace broker::controller {

/// The last version of CreateTopics, DeleteTopics and CreatePartitions whose clients do not know
/// THROTTLING_QUOTA_EXCEEDED (KIP-599): what they ask for is done, and they wait afterwards.
/// nullopt: an API without a mutation quota.
std::optional<std::int16_t> last_lenient_version(protocol::ApiKey key);

/// One request's use of controller_mutation_rate.
class MutationQuota {
 public:
  MutationQuota(TokenBucket& bucket, double limit, bool strict, Instant now)
      : bucket_(bucket), limit_(limit), strict_(strict), now_(now) {}

  /// Partitions that are to be made or deleted. Error kThrottlingQuotaExceeded: not now, nothing
  /// was counted; only a strict quota refuses, and only when more is owed already.
  Result<void> charge(std::int64_t partitions);
  /// How long until the client owes nothing, if it was refused or let through leniently.
  std::chrono::milliseconds throttle() const { return throttle_; }

 private:
  TokenBucket& bucket_;
  const double limit_;
  const bool strict_;
  const Instant now_;
  std::chrono::milliseconds throttle_{0};
};

/// controller_mutation_rate on the active controller, in partitions per second. What was used is
/// not replicated: another controller begins anew, as Kafka's does. On the controller's strand.
class MutationQuotas {
 public:
  explicit MutationQuotas(RateWindow window) : window_(window) {}

  /// nullopt: the caller has no such quota. Valid until the next call.
  std::optional<MutationQuota> of(const metadata::ClientQuotasImage& quotas, const Caller& caller,
                                  Instant now);

 private:
  struct Bucket {
    TokenBucket tokens;
    Instant last_used;
  };
  const RateWindow window_;
  std::map<std::pair<std::string, std::string>, Bucket> buckets_;  // by user and client id
  std::size_t look_at_size_ = 1024;  // when that many are there, idle ones are forgotten
};

}  // namespace broker::controller
