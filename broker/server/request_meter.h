#pragma once

#include <chrono>

#include "broker/server/client_quotas.h"

namespace broker::server {

/// How long the connection's strand worked on one request: decoding, deciding, encoding. What other
/// strands and the disk did meanwhile is not in it. Exists only while somebody has a request quota,
/// so that nobody else pays for looking at the clock.
class RequestMeter {
 public:
  using Clock = std::chrono::steady_clock;

  explicit RequestMeter(ClientQuotas& quotas) : quotas_(quotas), started_(Clock::now()) {}

  /// The request waits for somebody.
  void pause() {
    if (!running_) return;
    spent_ += Clock::now() - started_;
    running_ = false;
  }
  /// Charges what was spent, in percent of a core; how long the client is to be left alone.
  std::chrono::milliseconds settle(const QuotaClient& client, Instant now) {
    pause();
    const double percent = std::chrono::duration<double>(spent_).count() * 100;
    return quotas_.charge(QuotaKind::kRequest, client, percent, now);
  }

 private:
  ClientQuotas& quotas_;
  Clock::time_point started_;
  Clock::duration spent_{};
  bool running_ = true;
};

}  // namespace broker::server
