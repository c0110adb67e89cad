#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "broker/common/function.h"
#include "broker/common/time.h"

namespace op::reconcile {

/// Runs tasks after a delay. A port, so that tests decide when time passes.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Callable from any thread. Tasks must not block for long.
  virtual void after(broker::Duration delay, broker::Task task) = 0;
};

/// One thread that runs delayed tasks in order of their time. What is left at destruction is
/// dropped.
class DelayedTasks final : public Scheduler {
 public:
  DelayedTasks();
  ~DelayedTasks() override;
  void after(broker::Duration delay, broker::Task task) override;

 private:
  void run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::multimap<broker::Instant, broker::Task> tasks_;
  std::jthread thread_;
};

}  // namespace op::reconcile
