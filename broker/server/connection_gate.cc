#include "broker/server/connection_gate.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace broker::server {
namespace {

using std::chrono::milliseconds;

std::int32_t count_of(const std::map<std::string, std::int32_t>& counts, const std::string& name) {
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

void count_down(std::map<std::string, std::int32_t>& counts, const std::string& name) {
  const auto found = counts.find(name);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

milliseconds ConnectionGate::wait(SampledRate& rate, double limit, Instant now) const {
  const double observed = rate.per_second(now);
  if (!(observed > limit)) return milliseconds(0);
  const auto over = static_cast<double>(rate.length(now).count());
  const double ms = std::round((observed - limit) / std::max(limit, 1e-9) * over);
  return ms < static_cast<double>(longest_wait_.count())
             ? milliseconds(static_cast<std::int64_t>(ms))
             : longest_wait_;
}

ConnectionLimits::OfListener ConnectionGate::limits_of(const std::string& listener) const {
  const auto found = limits_.listeners.find(listener);
  return found == limits_.listeners.end() ? ConnectionLimits::OfListener{} : found->second;
}

/// A broker with a single listener has nobody who could give way.
bool ConnectionGate::is_protected(const std::string& listener) const {
  return listener == limits_.protected_listener && limits_.listeners.size() > 1;
}

milliseconds ConnectionGate::arrive(const std::string& listener, Instant now) {
  SampledRate& mine = accepted_by_listener_.try_emplace(listener, window_).first->second;
  mine.record(1, now);
  const milliseconds of_listener = wait(mine, limits_of(listener).creation_rate, now);
  if (limits_.separate_listeners.contains(listener)) return of_listener;
  accepted_.record(1, now);
  if (is_protected(listener)) return of_listener;
  return std::max(of_listener, wait(accepted_, limits_.creation_rate, now));
}

bool ConnectionGate::has_slot(const std::string& listener) const {
  if (count_of(by_listener_, listener) >= limits_of(listener).max_connections) return false;
  return is_protected(listener) || limits_.separate_listeners.contains(listener) ||
         total_ < limits_.max_connections;
}

std::optional<milliseconds> ConnectionGate::too_fast(const std::string& host, Instant now) {
  const auto limit = metadata::find_ip_quota(limits_.quotas, host);
  if (!limit) return std::nullopt;
  if (accepted_by_host_.size() >= look_at_size_) {
    for (auto at = accepted_by_host_.begin(); at != accepted_by_host_.end();)
      at = at->second.per_second(now) == 0 ? accepted_by_host_.erase(at) : std::next(at);
    look_at_size_ = std::max<std::size_t>(1024, accepted_by_host_.size() * 2);
  }
  SampledRate& rate = accepted_by_host_.try_emplace(host, window_).first->second;
  rate.record(1, now);
  const milliseconds throttle = wait(rate, *limit, now);
  if (throttle.count() == 0) return std::nullopt;
  rate.record(-1, now);
  return throttle;
}

std::variant<ConnectionGate::Admitted, ConnectionGate::TooManyFromHost,
             ConnectionGate::TooFastFromHost>
ConnectionGate::admit(const std::string& listener, const std::string& host, Instant now) {
  if (const auto throttle = too_fast(host, now)) {
    // It counts as if it had never come.
    if (!limits_.separate_listeners.contains(listener)) accepted_.record(-1, now);
    accepted_by_listener_.try_emplace(listener, window_).first->second.record(-1, now);
    return TooFastFromHost{*throttle};
  }
  const auto override = limits_.max_per_ip_overrides.find(host);
  const std::int32_t most =
      override == limits_.max_per_ip_overrides.end() ? limits_.max_per_ip : override->second;
  if (count_of(by_host_, host) >= most) return TooManyFromHost{most};
  if (!limits_.separate_listeners.contains(listener)) ++total_;
  ++by_listener_[listener];
  ++by_host_[host];
  return Admitted{};
}

void ConnectionGate::closed(const std::string& listener, const std::string& host) {
  if (!limits_.separate_listeners.contains(listener)) --total_;
  count_down(by_listener_, listener);
  count_down(by_host_, host);
}

}  // namespace broker::server
