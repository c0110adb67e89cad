#include "broker/io/posix/event_loop.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace broker::io::posix {

EventLoop::EventLoop(std::string name)
    : name_(std::move(name)),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      now_(std::chrono::steady_clock::now()) {
  CHECK_GE(epoll_fd_, 0);
  CHECK_GE(wake_fd_, 0);
  epoll_event event{};
  // Edge-triggered, so that nobody has to read the counter: every write is an event of its own.
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;  // the mailbox
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event), 0);
}

EventLoop::~EventLoop() {
  stop();
  join();
  // Tasks may own things that want to be on their strand while they die; nobody else is any more.
  owner_ = std::this_thread::get_id();
  timers_.clear();
  running_.clear();
  while (true) {
    std::vector<Task> rest;
    {
      const std::lock_guard lock(mutex_);
      rest.swap(mailbox_);
    }
    if (rest.empty()) break;
  }
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

void EventLoop::start() {
  CHECK(!thread_.joinable());
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    run();
  });
}

void EventLoop::stop() {
  stopping_ = true;
  wake();
}

void EventLoop::join() {
  if (thread_.joinable()) thread_.join();
}

void EventLoop::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wake_fd_, &one, sizeof one);
}

void EventLoop::post(Task task) {
  bool need_wake = false;
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(task));
    need_wake = sleeping_.exchange(false, std::memory_order_relaxed);
  }
  if (need_wake) wake();
}

bool EventLoop::is_current() const {
  return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

Instant EventLoop::now() const {
  // Other threads and code before run() see the clock, the loop sees its turn's time.
  return is_current() ? now_ : std::chrono::steady_clock::now();
}

WallMs EventLoop::wall_now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void EventLoop::check_owned() const {
  CHECK(is_current() || owner_.load(std::memory_order_acquire) == std::thread::id());
}

TimerId EventLoop::call_at(Instant when, Task task) {
  check_owned();
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_due_.emplace(id, when);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  check_owned();
  const auto it = timer_due_.find(timer);
  if (it == timer_due_.end()) return;
  const auto entry = timers_.find({it->second, timer});
  timer_due_.erase(it);
  const Task dying = std::move(entry->second);  // its destructor may cancel other timers
  timers_.erase(entry);
}

void EventLoop::add_fd(int fd, std::uint32_t epoll_events, FdHandler& handler) {
  check_owned();
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = &handler;
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event), 0);
}

void EventLoop::modify_fd(int fd, std::uint32_t epoll_events, FdHandler& handler) {
  check_owned();
  epoll_event event{};
  event.events = epoll_events;
  event.data.ptr = &handler;
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event), 0);
}

void EventLoop::remove_fd(int fd, FdHandler& handler) {
  check_owned();
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr), 0);
  // Events of this turn that were already fetched must not reach a handler that may be gone.
  for (int i = 0; i < event_count_; ++i)
    if (events_[static_cast<std::size_t>(i)].data.ptr == &handler)
      events_[static_cast<std::size_t>(i)].events = 0;
}

int EventLoop::wait_ms() {
  {
    const std::lock_guard lock(mutex_);
    if (!mailbox_.empty() || stopping_) return 0;
    sleeping_.store(true, std::memory_order_relaxed);
  }
  if (timers_.empty()) return -1;
  const auto due = timers_.begin()->first.first - std::chrono::steady_clock::now();
  if (due <= Duration::zero()) return 0;
  // Rounded up: waking early would only spin until the timer is due.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(due).count();
  return static_cast<int>(std::min<std::int64_t>(ms, 60'000));
}

bool EventLoop::run_posted() {
  {
    const std::lock_guard lock(mutex_);
    running_.swap(mailbox_);
  }
  const bool any = !running_.empty();
  for (Task& task : running_) {
    task();
    task = nullptr;  // frees what it owns before the next runs
  }
  running_.clear();
  return any;
}

void EventLoop::run_timers() {
  while (!timers_.empty() && timers_.begin()->first.first <= now_) {
    const auto it = timers_.begin();
    Task task = std::move(it->second);
    timer_due_.erase(it->first.second);
    timers_.erase(it);
    task();
  }
}

void EventLoop::run() {
  owner_ = std::this_thread::get_id();
  while (true) {
    int n = epoll_wait(epoll_fd_, events_.data(), static_cast<int>(events_.size()), wait_ms());
    if (n < 0) {
      CHECK_EQ(errno, EINTR);
      n = 0;
    }
    sleeping_.store(false, std::memory_order_relaxed);  // posts are found at the end of this turn
    now_ = std::chrono::steady_clock::now();
    event_count_ = n;
    for (int i = 0; i < n; ++i) {
      const epoll_event event = events_[static_cast<std::size_t>(i)];
      if (event.data.ptr != nullptr && event.events != 0)
        static_cast<FdHandler*>(event.data.ptr)->on_events(event.events);
    }
    event_count_ = 0;
    run_timers();
    const bool any = run_posted();
    if (stopping_ && !any) break;
  }
  owner_ = std::thread::id();
  stopping_ = false;
}

}  // namespace broker::io::posix
