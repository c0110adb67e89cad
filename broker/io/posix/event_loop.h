#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "broker/io/posix/unique_fd.h"
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
///
/// A loop that posts to a sleeping one and has nothing else to do runs the other's tasks itself
/// before it sleeps ("visits" it): that costs no wake-up, which is most of what a small message
/// costs. A loop under load wakes its neighbours instead, so that all cores help. Either way one
/// thread at a time runs a loop, and is_current() says which loop's code runs.
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
  bool run_posted();
  void run_timers();
  /// Handles the kernel's events, timers and posts; false when stopped and nothing is left to do.
  bool run_turn();
  /// From here on a post wakes this loop; false when there is something to do at once.
  bool fall_asleep();
  int wait_ms() const;
  void visit_neighbours();
  void run_for_visitor();

  const std::string name_;
  int epoll_fd_ = -1;
  std::thread thread_;
  std::atomic<bool> has_thread_ = false;
  std::atomic<bool> stopping_ = false;

  /// Who holds `mutex` runs the loop: its own thread but while it waits for events, or a visitor.
  /// Outlives the loop as long as somebody means to visit it.
  struct Turn {
    explicit Turn(EventLoop* loop);
    void wake() const;

    std::mutex mutex;
    EventLoop* loop;  // guarded by mutex; nullptr once the loop is gone
    const UniqueFd wake_fd;
  };
  const std::shared_ptr<Turn> turn_;
  /// Sleeping loops that were posted to in this turn: visited or woken at its end.
  std::vector<std::shared_ptr<Turn>> neighbours_;

  mutable std::mutex mutex_;
  std::vector<Task> mailbox_;  // guarded by mutex_
  // Nobody but a post will look at the mailbox: set under mutex_, when it was seen empty.
  std::atomic<bool> sleeping_ = false;

  // Owned by whoever runs the loop.
  Instant now_{};
  Instant awake_since_{};  // when the loop's thread last had to wait for an event
  Instant sleeps_until_{};
  bool events_are_stale_ =
      false;  // a visitor removed a handler that the kernel may just have named
  std::vector<Task> running_;
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  std::unordered_map<TimerId, Instant> timer_due_;
  TimerId next_timer_ = 1;
  std::array<epoll_event, 256> events_{};
  int event_count_ = 0;
};

}  // namespace broker::io::posix
