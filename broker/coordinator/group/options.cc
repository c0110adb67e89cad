#include "broker/coordinator/group/options.h"

#include <charconv>

namespace broker::coordinator::group {

namespace {

// Values were checked when they were set.
void take(const config::ConfigMap& values, const std::string& key, std::chrono::milliseconds& out) {
  const auto at = values.find(key);
  if (at == values.end()) return;
  std::int64_t number = 0;
  const std::string& text = at->second;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc())
    out = std::chrono::milliseconds(number);
}

}  // namespace

ConsumerSettings ConsumerOptions::settings_of(const std::string& group,
                                              const metadata::ConfigsImage& configs) const {
  ConsumerSettings result = settings;
  using metadata::ConfigResourceType;
  take(configs.of({ConfigResourceType::kBroker, ""}), "group.consumer.assignment.interval.ms",
       result.assignment_interval);
  const config::ConfigMap& own = configs.of({ConfigResourceType::kGroup, group});
  take(own, "consumer.session.timeout.ms", result.session_timeout);
  take(own, "consumer.heartbeat.interval.ms", result.heartbeat_interval);
  take(own, "consumer.assignment.interval.ms", result.assignment_interval);
  return result;
}

}  // namespace broker::coordinator::group
