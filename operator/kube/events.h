#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "operator/kube/client.h"
#include "operator/kube/object.h"

namespace op::kube {

/// Writes Kubernetes Events, gathering repetitions: the same (object, reason, message) within ten
/// minutes is one Event whose count grows, written again at most every `kMinInterval`. Failures are
/// logged and forgotten: an Event is a courtesy. Thread-safe; blocks for the API call.
class EventRecorder {
 public:
  static constexpr std::chrono::seconds kMinInterval{30};
  static constexpr std::size_t kRemembered = 512;

  EventRecorder(KubeClient& client, std::string instance)
      : client_(client), instance_(std::move(instance)) {}

  void record(const Object& about, bool warning, const std::string& reason,
              const std::string& message);

 private:
  struct Seen {
    std::string name;
    std::string first;  // RFC 3339
    int count = 0;
    std::chrono::steady_clock::time_point written;
  };

  KubeClient& client_;
  const std::string instance_;
  std::mutex mutex_;
  std::map<std::string, Seen> seen_;
  std::deque<std::string> order_;  // oldest first, for the bound
};

}  // namespace op::kube
