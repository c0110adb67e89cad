#include "broker/io/sim/process.h"

namespace broker::io::sim {
namespace {

using std::chrono::microseconds;

constexpr WallMs kWallBeginning = 1'767'225'600'000;  // 2026-01-01
constexpr Duration kMinTask = microseconds(1);
constexpr Duration kMaxTask = microseconds(20);
// Now and then a thread loses its core for a while.
constexpr double kPreempted = 0.001;
constexpr Duration kMaxPreemption = microseconds(4000);

// What runs at present; a pool's work is on no strand. The simulation is one thread.
thread_local const SimStrand* t_strand = nullptr;
thread_local const Life* t_life = nullptr;

class Running {
 public:
  Running(const SimStrand* strand, const Life& life)
      : strand_before_(std::exchange(t_strand, strand)),
        life_before_(std::exchange(t_life, &life)) {}
  ~Running() {
    t_strand = strand_before_;
    t_life = life_before_;
  }

 private:
  const SimStrand* strand_before_;
  const Life* life_before_;
};

Duration time_of_task(Scheduler& scheduler) {
  if (scheduler.chance(kPreempted)) return scheduler.between(kMaxTask, kMaxPreemption);
  return scheduler.between(kMinTask, kMaxTask);
}

}  // namespace

const Life* current_life() { return t_life; }

WallMs wall_time(const Scheduler& scheduler) {
  return kWallBeginning +
         std::chrono::duration_cast<std::chrono::milliseconds>(scheduler.elapsed()).count();
}

SimStrand::SimStrand(Scheduler& scheduler, std::shared_ptr<Life> life)
    : Actor(scheduler), life_(std::move(life)) {}

SimStrand::~SimStrand() { drop_tasks(); }

void SimStrand::post(Task task) {
  posted_.push_back(std::move(task));
  if (!running_) reschedule();
}

bool SimStrand::is_current() const { return t_strand == this || !life_->alive; }

WallMs SimStrand::wall_now() const { return wall_time(scheduler_) + life_->clock_skew; }

TimerId SimStrand::call_at(Instant when, Task task) {
  check_current();
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  due_.emplace(id, when);
  if (!running_) reschedule();
  return id;
}

void SimStrand::cancel(TimerId timer) {
  check_current();
  const auto at = due_.find(timer);
  if (at == due_.end()) return;
  auto cancelled = timers_.extract({at->second, timer});
  due_.erase(at);
}

void SimStrand::reschedule() {
  if (!life_->alive) return;
  Instant next = Instant::max();
  if (!posted_.empty()) {
    next = scheduler_.now();
  } else if (!timers_.empty()) {
    next = timers_.begin()->first.first;
  } else {
    return;
  }
  next = std::max({next, busy_until_, life_->frozen_until, scheduler_.now()});
  if (next >= wake_at_) return;
  wake_at_ = next;
  wake_at(next, ++wake_token_);
}

void SimStrand::on_wake(std::uint64_t token) {
  if (token != wake_token_ || !life_->alive) return;
  wake_at_ = Instant::max();
  if (life_->frozen_until > scheduler_.now()) return reschedule();
  {
    const Running running(this, *life_);
    running_ = true;
    run_one();
    running_ = false;
  }
  busy_until_ = scheduler_.now() + time_of_task(scheduler_) + scheduler_.take_charge();
  reschedule();
}

void SimStrand::run_one() {
  const bool timer_due = !timers_.empty() && timers_.begin()->first.first <= scheduler_.now();
  if (timer_due && (posted_.empty() || scheduler_.chance(0.5))) {
    auto timer = timers_.extract(timers_.begin());
    due_.erase(timer.key().second);
    timer.mapped()();
  } else if (!posted_.empty()) {
    Task task = std::move(posted_.front());
    posted_.pop_front();
    task();
  }
}

void SimStrand::drop_tasks() {
  // What a task holds may post or cancel while it dies.
  while (!posted_.empty() || !timers_.empty()) {
    const auto posted = std::exchange(posted_, {});
    const auto timers = std::exchange(timers_, {});
    due_.clear();
  }
}

SimWorkers::SimWorkers(Scheduler& scheduler, std::shared_ptr<Life> life, std::size_t threads)
    : Actor(scheduler), life_(std::move(life)), ending_(threads), busy_(threads) {}

void SimWorkers::run(Strand& home, Task work, Task done) {
  queued_.push_back({&home, std::move(work), std::move(done)});
  for (std::size_t thread = 0; thread < busy_.size(); ++thread) {
    if (busy_[thread]) continue;
    busy_[thread] = true;
    return wake_at(scheduler_.now() + time_of_task(scheduler_), thread);
  }
}

void SimWorkers::on_wake(std::uint64_t thread) {
  if (!life_->alive) return;
  if (life_->frozen_until > scheduler_.now()) return wake_at(life_->frozen_until, thread);
  if (ending_[thread]) return finish(thread);
  if (queued_.empty()) {
    busy_[thread] = false;
    return;
  }
  ending_[thread] = std::move(queued_.front());
  queued_.pop_front();
  {
    const Running running(nullptr, *life_);
    ending_[thread]->work();
  }
  wake_at(scheduler_.now() + time_of_task(scheduler_) + scheduler_.take_charge(), thread);
}

void SimWorkers::finish(std::size_t thread) {
  Job job = std::move(*ending_[thread]);
  ending_[thread].reset();
  job.home->post(std::move(job.done));
  on_wake(thread);
}

void SimWorkers::drop_tasks() {
  const auto queued = std::exchange(queued_, {});
  for (auto& job : ending_) job.reset();
}

}  // namespace broker::io::sim
