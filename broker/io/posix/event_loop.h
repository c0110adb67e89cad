#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "broker/io/strand.h"

namespace broker::io::posix {

/// Gets the events of one file descriptor, on the loop's thread.
class FdHandler {
 public:
  virtual void on_events(std::uint32_t epoll_events) = 0;

 protected:
  ~FdHandler() = default;
};

/// A strand: level-triggered epoll, an eventfd mailbox, timers. Either start() gives it a thread of
/// its own or the caller's thread does run(). Outlives everything that is registered with it.
class EventLoop final : public Strand {
 public:
  /// `name` shows in `top -H` (at most 15 characters). Stops the process if the system has no
  /// descriptors left.
  explicit EventLoop(std::string name = "loop");
  ~EventLoop() override;  // stop() and join; tasks that never ran are destroyed here
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs the loop on a new thread.
  void start();
  /// Runs the loop on this thread until stop().
  void run();
  /// Any thread. What was posted before still runs.
  void stop();
  /// Waits for the thread of start(). Not from the loop itself.
  void join();

  void post(Task task) override;
  bool is_current() const override;
  Instant now() const override;
  WallMs wall_now() const override;
  TimerId call_at(Instant when, Task task) override;
  void cancel(TimerId timer) override;

  /// Only from this strand, or while no thread runs the loop. A removed handler gets no event any
  /// more, not even one already taken from the kernel.
  void add_fd(int fd, std::uint32_t epoll_events, FdHandler& handler);
  void modify_fd(int fd, std::uint32_t epoll_events, FdHandler& handler);
  void remove_fd(int fd, FdHandler& handler);

 private:
  /// On the loop, or while no thread runs it (set-up and tear-down).
  void check_owned() const;
  void wake();
  bool run_posted();
  void run_timers();
  int wait_ms();

  const std::string name_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::thread thread_;
  std::atomic<std::thread::id> owner_{};
  std::atomic<bool> stopping_ = false;

  mutable std::mutex mutex_;
  std::vector<Task> mailbox_;  // guarded by mutex_
  // Nobody but a post will look at the mailbox: set under mutex_, when it was seen empty.
  std::atomic<bool> sleeping_ = false;

  // Owned by the loop's thread.
  Instant now_{};
  std::vector<Task> running_;
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Instant> timer_due_;
  TimerId next_timer_ = 1;
  std::array<epoll_event, 256> events_{};
  int event_count_ = 0;
};

}  // namespace broker::io::posix
