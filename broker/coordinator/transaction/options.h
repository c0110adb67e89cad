#pragma once

#include <chrono>

namespace broker::coordinator::transaction {

/// Kafka's transaction.* and transactional.id.* keys.
struct TransactionOptions {
  std::chrono::milliseconds max_timeout{900'000};               // transaction.max.timeout.ms
  std::chrono::milliseconds id_expiration{7 * 24 * 3'600'000};  // transactional.id.expiration.ms
  /// transaction.abort.timed.out.transaction.cleanup.interval.ms
  std::chrono::milliseconds abort_check_interval{10'000};
  /// transaction.remove.expired.transaction.cleanup.interval.ms
  std::chrono::milliseconds expiration_check_interval{3'600'000};
};

}  // namespace broker::coordinator::transaction
