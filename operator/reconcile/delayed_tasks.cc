#include "operator/reconcile/delayed_tasks.h"

namespace op::reconcile {

DelayedTasks::DelayedTasks() : thread_([this](std::stop_token stop) { run(stop); }) {}

DelayedTasks::~DelayedTasks() {
  thread_.request_stop();
  thread_.join();
}

void DelayedTasks::after(broker::Duration delay, broker::Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.emplace(std::chrono::steady_clock::now() + delay, std::move(task));
  wake_.notify_one();
}

void DelayedTasks::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (tasks_.empty()) {
      wake_.wait(lock, stop, [this] { return !tasks_.empty(); });
      continue;
    }
    const broker::Instant due = tasks_.begin()->first;
    if (std::chrono::steady_clock::now() < due) {
      wake_.wait_until(lock, stop, due, [&] { return tasks_.begin()->first < due; });
      continue;
    }
    broker::Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace op::reconcile
