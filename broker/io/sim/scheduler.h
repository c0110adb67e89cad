#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/rng.h"
#include "broker/common/time.h"

namespace broker::io::sim {

/// What a wake-up is delivered to: a strand, a pool. Leaves the scheduler when it dies.
class Scheduler;
class Actor {
 public:
  explicit Actor(Scheduler& scheduler);
  virtual ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

 protected:
  friend class Scheduler;
  /// `token`: what the wake-up was asked for with. Wake-ups are never taken back: an actor ignores
  /// those that it no longer wants.
  virtual void on_wake(std::uint64_t token) = 0;
  void wake_at(Instant when, std::uint64_t token);

  Scheduler& scheduler_;
  const std::uint32_t actor_id_;
};

/// The clock, the dice and the order of everything in a simulated world: one event at a time, by
/// time and then by the order in which they were asked for. The same seed gives the same world,
/// event for event. One thread.
class Scheduler {
 public:
  explicit Scheduler(std::uint64_t seed);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Instant now() const { return now_; }
  /// Since the beginning of the world.
  Duration elapsed() const { return now_ - kBeginning; }

  Rng& rng() { return rng_; }
  bool chance(double probability);
  /// Uniform in [min, max].
  Duration between(Duration min, Duration max);

  /// An event of the world itself, outside of all strands.
  void at(Instant when, Task task);
  void after(Duration delay, Task task) { at(now_ + delay, std::move(task)); }

  /// Runs the next event; false when there is none.
  bool step();
  void run_until(Instant end);
  void run_for(Duration time) { run_until(now_ + time); }
  /// Runs until `done`, asked after each event; false when `limit` has passed before.
  bool run_until_true(const std::function<bool()>& done, Duration limit);

  /// Called after each event.
  void observe(std::function<void()> observer) { observer_ = std::move(observer); }

  /// Adds to the time that the event under way takes: a disk that is waited for, a computation.
  void charge(Duration cost) { charged_ += cost; }
  /// What was charged since the last call.
  Duration take_charge() { return std::exchange(charged_, Duration::zero()); }

  /// Depends on every event so far; two runs of a seed that differ have different hashes.
  std::uint64_t trace_hash() const { return hash_; }
  void note(std::uint64_t value);
  std::uint64_t events() const { return events_; }

  /// A readable line for each thing that happens, when someone reads. Callers ask tracing() before
  /// they build text.
  using Trace = std::function<void(Duration elapsed, std::string_view line)>;
  void set_trace(Trace trace) { trace_ = std::move(trace); }
  bool tracing() const { return trace_ != nullptr; }
  void trace(std::string_view line) {
    if (trace_) trace_(elapsed(), line);
  }

 private:
  friend class Actor;
  static constexpr Instant kBeginning = Instant{} + std::chrono::hours(1);

  struct Event {
    Instant when;
    std::uint64_t sequence = 0;
    std::uint32_t actor = 0;  // 0: a task of the world
    std::uint64_t token = 0;
    Task task;
  };
  static bool later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }
  void push(Event event);

  Instant now_ = kBeginning;
  Rng rng_;
  std::vector<Event> heap_;
  std::vector<Actor*> actors_{nullptr};  // by id; an id is used once
  std::uint64_t next_sequence_ = 1;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0;
  Duration charged_{};
  std::function<void()> observer_;
  Trace trace_;
};

}  // namespace broker::io::sim
