#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/io/sim/scheduler.h"
#include "broker/io/strand.h"

namespace broker::io::sim {

/// Milliseconds since 1970 by the world's own clock.
WallMs wall_time(const Scheduler& scheduler);

/// How one run of a program is: shared by all that it holds (strands, sockets, file handles).
struct Life {
  std::string name;
  bool alive = true;       // false: nothing that it still does has an effect
  Instant frozen_until{};  // SIGSTOP: its strands rest until then
  WallMs clock_skew = 0;   // of the machine's wall clock against the world's
};

/// Whose task runs at present; nullptr outside of all.
const Life* current_life();

/// An event loop of a simulated process: one task at a time, each of which takes a little virtual
/// time; what is posted keeps its order, timers and posts come in any.
class SimStrand final : public Strand, private Actor {
 public:
  SimStrand(Scheduler& scheduler, std::shared_ptr<Life> life);
  ~SimStrand() override;

  void post(Task task) override;
  /// After the process's death: always, so that what it held can be taken down.
  bool is_current() const override;
  Instant now() const override { return scheduler_.now(); }
  WallMs wall_now() const override;
  TimerId call_at(Instant when, Task task) override;
  void cancel(TimerId timer) override;

  const std::shared_ptr<Life>& life() const { return life_; }
  /// Looks again when it may run: the process was thawed.
  void reschedule();
  /// Destroys what will never run.
  void drop_tasks();

 private:
  void on_wake(std::uint64_t token) override;
  void run_one();

  const std::shared_ptr<Life> life_;
  std::deque<Task> posted_;
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  std::map<TimerId, Instant> due_;
  TimerId next_timer_ = 1;
  Instant busy_until_{};
  Instant wake_at_ = Instant::max();  // of the wake-up that counts
  std::uint64_t wake_token_ = 0;
  bool running_ = false;
};

/// Pool threads: work is done one after the other on each, and takes as long as what it charges.
class SimWorkers final : public WorkerPool, private Actor {
 public:
  SimWorkers(Scheduler& scheduler, std::shared_ptr<Life> life, std::size_t threads);

  void run(Strand& home, Task work, Task done) override;
  void drop_tasks();

 private:
  struct Job {
    Strand* home;
    Task work;
    Task done;
  };
  void on_wake(std::uint64_t token) override;
  void finish(std::size_t thread);

  const std::shared_ptr<Life> life_;
  std::deque<Job> queued_;
  // By thread: the job whose work is done and whose end is awaited.
  std::vector<std::optional<Job>> ending_;
  std::vector<bool> busy_;
};

}  // namespace broker::io::sim
