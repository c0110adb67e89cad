#pragma once

#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/io/strand.h"
#include "broker/replication/strands.h"

namespace broker::replication::testing {

/// Several strands in one thread, on one clock that stands still unless it is moved.
class TestWorld {
 public:
  class TestStrand final : public io::Strand {
   public:
    explicit TestStrand(TestWorld& world) : world_(world) {}
    void post(Task task) override { world_.posted_.emplace_back(this, std::move(task)); }
    bool is_current() const override { return world_.current_ == this; }
    Instant now() const override { return world_.now_; }
    WallMs wall_now() const override { return world_.wall_; }
    io::TimerId call_at(Instant when, Task task) override {
      CHECK(is_current());
      const io::TimerId id = world_.next_timer_++;
      world_.timers_.emplace(std::pair(when, id), std::pair(this, std::move(task)));
      world_.due_[id] = when;
      return id;
    }
    void cancel(io::TimerId timer) override {
      const auto at = world_.due_.find(timer);
      if (at == world_.due_.end()) return;
      world_.timers_.erase({at->second, timer});
      world_.due_.erase(at);
    }

   private:
    TestWorld& world_;
  };

  /// Holds work back until finish() if told so.
  class TestWorkers final : public io::WorkerPool {
   public:
    void run(io::Strand& home, Task work, Task done) override {
      queued_.push_back({&home, std::move(work), std::move(done)});
      if (!hold) finish();
    }
    void finish() {
      while (!queued_.empty()) {
        Job job = std::move(queued_.front());
        queued_.pop_front();
        job.work();
        job.home->post(std::move(job.done));
      }
    }
    std::size_t queued() const { return queued_.size(); }
    bool hold = false;

   private:
    struct Job {
      io::Strand* home;
      Task work;
      Task done;
    };
    std::deque<Job> queued_;
  };

  explicit TestWorld(std::size_t strands = 1) {
    for (std::size_t i = 0; i < strands; ++i)
      strands_.push_back(std::make_unique<TestStrand>(*this));
    current_ = strands_[0].get();
  }

  Strands strands() {
    std::vector<io::Strand*> shards;
    for (const auto& strand : strands_) shards.push_back(strand.get());
    return Strands(*strands_[0], std::move(shards));
  }
  io::Strand& strand(std::size_t index) { return *strands_[index]; }
  TestWorkers& workers() { return workers_; }
  Instant now() const { return now_; }
  WallMs wall() const { return wall_; }

  /// As a timer of `strand`, from anywhere.
  void call_at(io::Strand& strand, Instant when, Task task) {
    const io::TimerId id = next_timer_++;
    timers_.emplace(std::pair(when, id),
                    std::pair(static_cast<TestStrand*>(&strand), std::move(task)));
    due_[id] = when;
  }

  /// Runs what is posted, and what that posts. Outside of it, strand 0 is current.
  void run() {
    while (!posted_.empty()) {
      auto [strand, task] = std::move(posted_.front());
      posted_.pop_front();
      current_ = strand;
      task();
    }
    current_ = strands_[0].get();
  }

  void advance(std::chrono::milliseconds by) {
    const Instant end = now_ + by;
    run();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto entry = timers_.extract(timers_.begin());
      due_.erase(entry.key().second);
      move_to(entry.key().first);
      current_ = entry.mapped().first;
      entry.mapped().second();
      run();
    }
    move_to(end);
  }

 private:
  void move_to(Instant to) {
    if (to <= now_) return;
    wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(to - now_).count();
    now_ = to;
  }

  std::vector<std::unique_ptr<TestStrand>> strands_;
  TestWorkers workers_;
  io::Strand* current_ = nullptr;
  Instant now_ = Instant{} + std::chrono::hours(1);
  WallMs wall_ = 1'700'000'000'000;
  std::deque<std::pair<TestStrand*, Task>> posted_;
  std::map<std::pair<Instant, io::TimerId>, std::pair<TestStrand*, Task>> timers_;
  std::map<io::TimerId, Instant> due_;
  io::TimerId next_timer_ = 1;
};

}  // namespace broker::replication::testing
