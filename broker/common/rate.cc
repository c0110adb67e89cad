#include "broker/common/rate.h"

#include <algorithm>

namespace broker {
namespace {

std::int64_t ms_of(Instant time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

double seconds_of(std::chrono::milliseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

}  // namespace

void SampledRate::record(double value, Instant now) {
  const std::int64_t now_ms = ms_of(now);
  if (samples_.empty()) samples_.push_back({now_ms, now_ms});
  if (now_ms - samples_[current_].start_ms >= window_.sample.count()) {
    // One more than the window has: the oldest may still reach into it.
    current_ = (current_ + 1) % static_cast<std::size_t>(window_.samples + 1);
    if (current_ >= samples_.size())
      samples_.push_back({now_ms, now_ms});
    else
      samples_[current_] = {now_ms, now_ms};
  }
  Sample& sample = samples_[current_];
  sample.sum += value;
  ++sample.count;
  sample.last_ms = now_ms;
}

void SampledRate::drop_old(std::int64_t now_ms) {
  const std::int64_t window_ms = window_.samples * window_.sample.count();
  for (Sample& sample : samples_)
    if (now_ms - sample.last_ms >= window_ms) sample = {now_ms, now_ms};
}

std::chrono::milliseconds SampledRate::length(Instant now) {
  const std::int64_t now_ms = ms_of(now);
  drop_old(now_ms);
  std::int64_t oldest = now_ms;
  for (const Sample& sample : samples_) oldest = std::min(oldest, sample.start_ms);
  std::int64_t elapsed = now_ms - oldest;
  const std::int64_t sample_ms = window_.sample.count();
  const std::int64_t missing = (window_.samples - 1) - elapsed / sample_ms;
  elapsed += std::max<std::int64_t>(missing, 0) * sample_ms;
  return std::chrono::milliseconds(std::max<std::int64_t>(elapsed, 1));
}

double SampledRate::per_second(Instant now) {
  const auto over = length(now);
  double sum = 0;
  for (const Sample& sample : samples_) sum += sample.sum;
  return sum / seconds_of(over);
}

double SampledRate::average(Instant now) {
  drop_old(ms_of(now));
  double sum = 0;
  std::int64_t count = 0;
  for (const Sample& sample : samples_) {
    sum += sample.sum;
    count += sample.count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

void TokenBucket::refill(double limit, std::int64_t now_ms) {
  const double burst = window_.samples * seconds_of(window_.sample) * limit;
  const double earned = static_cast<double>(now_ms - filled_ms_) / 1000 * limit;
  tokens_ = std::min(burst, tokens_ + earned);
  filled_ms_ = now_ms;
}

void TokenBucket::record(double tokens, double limit, Instant now) {
  refill(limit, ms_of(now));
  tokens_ = std::min(window_.samples * seconds_of(window_.sample) * limit, tokens_ - tokens);
}

double TokenBucket::level(double limit, Instant now) {
  refill(limit, ms_of(now));
  return tokens_;
}

}  // namespace broker
