#include "operator/plan/types.h"

#include <ctime>

#include "broker/common/rfc3339.h"
#include "operator/plan/common.h"

namespace op::plan {

using api::ConditionStatus;

void set_ready(std::vector<api::Condition>& conditions, bool ready, const Verdict& verdict,
               std::int64_t generation, const api::Timestamp& now) {
  api::set_condition(conditions,
                     {std::string(api::condition::kReady),
                      ready ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                      std::string(verdict.reason),
                      verdict.message,
                      generation,
                      {}},
                     now);
}

bool is_ready(const std::vector<api::Condition>& conditions) {
  const api::Condition* ready = api::find_condition(conditions, api::condition::kReady);
  return ready && ready->status == ConditionStatus::kTrue;
}

api::Timestamp to_timestamp(std::int64_t wall_ms) {
  return broker::to_rfc3339(std::chrono::milliseconds(wall_ms));
}

std::int64_t to_wall_ms(const api::Timestamp& timestamp) {
  std::tm parts{};
  if (strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts) == nullptr) return 0;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000;
}

namespace detail {

std::optional<Verdict> cluster_id_changed(const std::string& known, const std::string& now,
                                          const std::string& acknowledged,
                                          const api::ObjectMeta& object) {
  if (known.empty() || known == now || acknowledged == now) return std::nullopt;
  const std::string* own = object.annotation(api::kAcknowledgeAnnotation);
  if (own && *own == now) return std::nullopt;
  return Verdict{api::reason::kClusterIdChanged,
                 "the cluster has id " + now + ", but this was written to " + known +
                     "; nothing is created in it until the annotation " +
                     std::string(api::kAcknowledgeAnnotation) + " says " + now};
}

bool is_news(const std::vector<api::Condition>& conditions, const Verdict& verdict) {
  const api::Condition* ready = api::find_condition(conditions, api::condition::kReady);
  return !ready || ready->reason != verdict.reason || ready->message != verdict.message;
}

std::string counted(std::int64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace detail

}  // namespace op::plan
