#include "broker/io/posix/event_loop.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace broker::io::posix {
namespace {

/// The loop whose code this thread runs.
thread_local EventLoop* current_loop = nullptr;

/// A wait shorter than this was none: the events were there already.
constexpr auto kRest = std::chrono::microseconds(10);
/// Longer without a rest, and neighbours are woken instead of visited.
constexpr auto kBusy = std::chrono::microseconds(500);
/// Beyond that many, the work is better spread than done by one.
constexpr std::size_t kMaxVisits = 4;

}  // namespace

EventLoop::Turn::Turn(EventLoop* owner)
    : loop(owner), wake_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK_GE(wake_fd.get(), 0);
}

void EventLoop::Turn::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto n = ::write(wake_fd.get(), &one, sizeof one);
}

EventLoop::EventLoop(std::string name)
    : name_(std::move(name)),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      turn_(std::make_shared<Turn>(this)),
      now_(std::chrono::steady_clock::now()) {
  CHECK_GE(epoll_fd_, 0);
  epoll_event event{};
  // Edge-triggered, so that nobody has to read the counter: every write is an event of its own.
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;  // the mailbox
  CHECK_EQ(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, turn_->wake_fd.get(), &event), 0);
}

EventLoop::~EventLoop() {
  stop();
  join();
  const std::lock_guard last_turn(turn_->mutex);
  turn_->loop = nullptr;
  // Tasks may own things that want to be on their strand while they die; nobody else is any more.
  EventLoop* const outer = std::exchange(current_loop, this);
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
  current_loop = outer;
  for (const auto& neighbour : neighbours_) neighbour->wake();
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
  turn_->wake();
}

void EventLoop::join() {
  if (thread_.joinable()) thread_.join();
}

void EventLoop::post(Task task) {
  bool was_asleep = false;
  {
    const std::lock_guard lock(mutex_);
    mailbox_.push_back(std::move(task));
    was_asleep = sleeping_.exchange(false, std::memory_order_relaxed);
  }
  if (!was_asleep) return;
  if (current_loop != nullptr && current_loop != this)
    current_loop->neighbours_.push_back(turn_);
  else
    turn_->wake();
}

bool EventLoop::is_current() const { return current_loop == this; }

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
  CHECK(is_current() || !has_thread_.load(std::memory_order_acquire));
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
  // A visitor cannot know what the loop's own thread is just being told.
  if (event_count_ == 0) events_are_stale_ = true;
}

bool EventLoop::fall_asleep() {
  const std::lock_guard lock(mutex_);
  if (!mailbox_.empty() || stopping_) return false;
  sleeping_.store(true, std::memory_order_relaxed);
  return true;
}

int EventLoop::wait_ms() const {
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
  // A timer that one of these sets waits for the next turn even if it is due: posted tasks and
  // sockets come between, or a task that sets itself again and again would keep them out for ever.
  const TimerId end = next_timer_;
  while (true) {
    auto it = timers_.begin();
    while (it != timers_.end() && it->first.second >= end) ++it;
    if (it == timers_.end() || it->first.first > now_) return;
    Task task = std::move(it->second);
    timer_due_.erase(it->first.second);
    timers_.erase(it);
    task();
  }
}

bool EventLoop::run_turn() {
  for (int i = 0; i < event_count_; ++i) {
    const epoll_event event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr != nullptr && event.events != 0)
      static_cast<FdHandler*>(event.data.ptr)->on_events(event.events);
  }
  event_count_ = 0;
  run_timers();
  const bool any = run_posted();
  visit_neighbours();
  return any || !stopping_;
}

void EventLoop::run() {
  has_thread_ = true;
  EventLoop* const outer = std::exchange(current_loop, this);
  std::unique_lock turn(turn_->mutex);
  for (bool go_on = true; go_on;) {
    events_are_stale_ = false;
    const int timeout = fall_asleep() ? wait_ms() : 0;
    const Instant before = std::chrono::steady_clock::now();
    sleeps_until_ = timeout < 0 ? Instant::max() : before + std::chrono::milliseconds(timeout);
    turn.unlock();
    int n = epoll_wait(epoll_fd_, events_.data(), static_cast<int>(events_.size()), timeout);
    if (n < 0) CHECK_EQ(errno, EINTR);
    turn.lock();
    sleeping_.store(false, std::memory_order_relaxed);  // posts are found at the end of this turn
    now_ = std::chrono::steady_clock::now();
    if (now_ - before > kRest) awake_since_ = now_;
    // What is level-triggered comes again.
    event_count_ = events_are_stale_ ? 0 : std::max(n, 0);
    go_on = run_turn();
  }
  turn.unlock();
  current_loop = outer;
  has_thread_ = false;
  stopping_ = false;
}

/// At the end of a turn.
void EventLoop::visit_neighbours() {
  if (neighbours_.empty()) return;
  const bool busy = std::chrono::steady_clock::now() - awake_since_ > kBusy;
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    const std::shared_ptr<Turn> turn = std::move(neighbours_[i]);
    std::unique_lock lock(turn->mutex, std::defer_lock);
    if (busy || i >= kMaxVisits || !lock.try_lock()) {
      // Without the lock: its thread may be about to wait, and only a wake-up is sure to be seen.
      turn->wake();
    } else if (EventLoop* const loop = turn->loop; loop != nullptr) {
      current_loop = loop;
      loop->run_for_visitor();
      current_loop = this;
      // Its neighbours are ours now: this thread is the one that is awake.
      std::move(loop->neighbours_.begin(), loop->neighbours_.end(),
                std::back_inserter(neighbours_));
      loop->neighbours_.clear();
    }
  }
  neighbours_.clear();
}

/// While this loop's thread waits for events.
void EventLoop::run_for_visitor() {
  now_ = std::chrono::steady_clock::now();
  run_posted();
  const bool asleep = fall_asleep();
  const bool earlier_timer = !timers_.empty() && timers_.begin()->first.first < sleeps_until_;
  if (!asleep || earlier_timer) turn_->wake();
}

}  // namespace broker::io::posix
