#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "broker/common/time.h"

namespace broker {

/// How far back rates look: so many samples of that length, as Kafka's quota.window.num and
/// quota.window.size.seconds.
struct RateWindow {
  std::int32_t samples = 11;
  std::chrono::milliseconds sample{1000};
};

/// What was recorded per second, measured as Kafka's quotas measure it, to the millisecond. A
/// sample begins with the first value after the one before it is over; it counts until a window has
/// passed since its last value. The rate is taken over at least all samples but one, so that a
/// burst after silence is not taken for a rate.
class SampledRate {
 public:
  explicit SampledRate(RateWindow window) : window_(window) {}

  /// `value` may be negative: what was recorded and did not happen is taken back.
  void record(double value, Instant now);
  double per_second(Instant now);
  /// The mean of the values in the window; 0 when there are none.
  double average(Instant now);
  /// The time that per_second() divides by.
  std::chrono::milliseconds length(Instant now);

 private:
  struct Sample {
    std::int64_t start_ms;
    std::int64_t last_ms;
    double sum = 0;
    std::int64_t count = 0;
  };

  void drop_old(std::int64_t now_ms);

  const RateWindow window_;
  std::vector<Sample> samples_;  // a ring of at most window_.samples + 1, grown as it is used
  std::size_t current_ = 0;
};

/// Lets bursts through and holds the mean (KIP-599): filled with `limit` tokens a second, up to
/// those of a whole window, and emptied by what is recorded, below zero too.
class TokenBucket {
 public:
  explicit TokenBucket(RateWindow window) : window_(window) {}

  void record(double tokens, double limit, Instant now);
  /// Negative: so many tokens are owed.
  double level(double limit, Instant now);

 private:
  void refill(double limit, std::int64_t now_ms);

  const RateWindow window_;
  double tokens_ = 0;
  std::int64_t filled_ms_ = 0;  // long ago: a new bucket is full
};

}  // namespace broker
