#include "operator/kube/events.h"

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"

namespace op::kube {
namespace {

constexpr std::chrono::minutes kSameEvent{10};

std::string hex(std::size_t value) {
  char buffer[20];
  std::snprintf(buffer, sizeof buffer, "%016zx", value);
  return buffer;
}

}  // namespace

void EventRecorder::record(const Object& about, bool warning, const std::string& reason,
                           const std::string& message) {
  const std::string identity = about.uid + '\n' + reason + '\n' + message;
  const auto now = std::chrono::steady_clock::now();
  const std::string now_text = rfc3339_now();
  Seen event;
  {
    const std::lock_guard lock(mutex_);
    Seen& seen = seen_[identity];
    if (seen.count == 0) order_.push_back(identity);
    const bool fresh = seen.count == 0 || now - seen.written > kSameEvent;
    if (fresh) {
      seen = {about.key.name.substr(0, 200) + "." +
                  hex(std::hash<std::string>{}(identity + now_text + instance_)),
              now_text,
              0,
              {}};
    }
    ++seen.count;
    if (!fresh && now - seen.written < kMinInterval) return;
    seen.written = now;
    event = seen;
    if (order_.size() > kRemembered) {
      seen_.erase(order_.front());
      order_.pop_front();
    }
  }
  // Cluster-scoped objects' Events live in "default".
  const std::string ns = about.key.ns.empty() ? "default" : about.key.ns;
  const nlohmann::json body{{"apiVersion", "v1"},
                            {"kind", "Event"},
                            {"metadata", {{"name", event.name}, {"namespace", ns}}},
                            {"involvedObject",
                             {{"apiVersion", about.kind->api_version()},
                              {"kind", about.kind->kind},
                              {"namespace", about.key.ns},
                              {"name", about.key.name},
                              {"uid", about.uid},
                              {"resourceVersion", about.resource_version}}},
                            {"reason", reason},
                            {"message", message.substr(0, 1000)},
                            {"type", warning ? "Warning" : "Normal"},
                            {"source", {{"component", "millrace-operator"}}},
                            {"reportingComponent", "millrace.io/operator"},
                            {"reportingInstance", instance_},
                            {"firstTimestamp", event.first},
                            {"lastTimestamp", now_text},
                            {"count", event.count}};
  const auto written = client_.apply(kEvent, {ns, event.name}, body.dump());
  if (!written.ok()) {
    broker::log_warn("kube", "event not written",
                     {{"reason", reason}, {"error", written.error().detail}});
  }
}

}  // namespace op::kube
