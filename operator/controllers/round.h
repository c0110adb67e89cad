#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "operator/kafka/cluster_view.h"

namespace op::controllers {

/// Requests to Kafka that belong together: one round at a time, and a pause after a refusal.
/// Thread-safe; answers may come after the Round is gone.
class Round {
 public:
  /// True when one may begin now. Every operation of it is answered through `answer()`; the last
  /// answer runs `on_done`.
  bool begin(std::size_t operations, std::function<void()> on_done);
  std::function<void(const kafka::ItemResult&)> answer(std::string what);
  /// What the last round was refused; "" if it was not.
  std::string problem() const;

 private:
  static constexpr std::chrono::seconds kAfterRefusal{5};

  struct State {
    std::mutex mutex;
    std::size_t open = 0;
    broker::Instant not_before{};
    std::string problem;  // of the last complete round
    std::string refusal;  // of the one under way
    std::function<void()> on_done;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace op::controllers
