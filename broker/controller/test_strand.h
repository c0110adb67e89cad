#pragma once

#include <deque>
#include <map>
#include <utility>

#include "broker/io/file.h"
#include "broker/io/strand.h"

namespace broker::controller {

/// A strand turned by hand, with a clock that stands still.
class ManualStrand final : public io::Strand {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  bool is_current() const override { return true; }
  Instant now() const override { return now_; }
  WallMs wall_now() const override {
    return 1'790'000'000'000 +
           std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
  }
  io::TimerId call_at(Instant when, Task task) override {
    timers_[{when, ++last_timer_}] = std::move(task);
    return last_timer_;
  }
  void cancel(io::TimerId timer) override {
    std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  }

  bool run() {
    bool any = false;
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
      any = true;
    }
    return any;
  }
  void advance(Duration by) {
    now_ += by;
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
      Task task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
    }
  }

 private:
  std::deque<Task> tasks_;
  std::map<std::pair<Instant, io::TimerId>, Task> timers_;
  io::TimerId last_timer_ = 0;
  Instant now_{std::chrono::hours(1)};
};

/// Does the work when told to, so that a test sees the time before a sync has ended.
class ManualPool final : public io::WorkerPool {
 public:
  void run(io::Strand& home, Task work, Task done) override {
    jobs_.push_back([&home, work = std::move(work), done = std::move(done)]() mutable {
      work();
      home.post(std::move(done));
    });
  }
  bool run_all() {
    bool any = false;
    while (!jobs_.empty()) {
      Task job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
      any = true;
    }
    return any;
  }

 private:
  std::deque<Task> jobs_;
};

}  // namespace broker::controller
