#include "broker/replication/cleaning_run.h"

namespace broker::replication {

using storage::LogCleaning;

CleaningRun::CleaningRun(std::shared_ptr<Partition> partition, io::Strand& strand,
                         io::WorkerPool& workers, CleaningPace pace, Done done)
    : partition_(std::move(partition)),
      strand_(strand),
      workers_(workers),
      pace_(pace),
      done_(std::move(done)) {}

void CleaningRun::start(const storage::Cleanable& what) {
  started_ = strand_.now();
  auto begun = partition_->begin_cleaning(what, pace_.limits, strand_.wall_now());
  if (!begun.ok()) return end(begun.error());
  cleaning_ = std::move(*begun);
  step();
}

void CleaningRun::give_up() {
  stopping_ = true;
  if (on_pool_) return;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  end({}, true);
}

void CleaningRun::step() {
  struct Outcome {
    std::optional<Result<LogCleaning::Step>> step;
  };
  auto outcome = std::make_shared<Outcome>();
  on_pool_ = true;
  workers_.run(
      strand_,
      [cleaning = cleaning_, outcome, bytes = pace_.step_bytes] {
        outcome->step = cleaning->step(bytes);
      },
      [self = shared_from_this(), outcome] {
        self->on_pool_ = false;
        self->on_step(*outcome->step);
      });
}

void CleaningRun::on_step(const Result<LogCleaning::Step>& step) {
  storage::Log* log = partition_->log();
  if (stopping_ || log == nullptr || !log->is_cleaning(*cleaning_)) return end({}, true);
  const WallMs wall = strand_.wall_now();
  if (!step.ok()) {
    partition_->fail_cleaning(*cleaning_, step.error());
    return end(step.error());
  }
  switch (*step) {
    case LogCleaning::Step::kMore:
      return go_on();
    case LogCleaning::Step::kSwap: {
      const Result<void> swapped = partition_->swap_cleaned(*cleaning_, wall);
      return swapped.ok() ? go_on() : end(swapped);
    }
    case LogCleaning::Step::kDone:
      log->end_cleaning(*cleaning_);
      return end({});
  }
}

void CleaningRun::go_on() {
  const double seconds = static_cast<double>(cleaning_->io_bytes()) / pace_.max_bytes_per_second;
  const auto due =
      started_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  if (due <= strand_.now()) return step();
  timer_ = strand_.call_at(due, [self = shared_from_this()] {
    self->timer_ = io::kNoTimer;
    const storage::Log* log = self->partition_->log();
    if (log == nullptr || !log->is_cleaning(*self->cleaning_)) return self->end({}, true);
    self->step();
  });
}

void CleaningRun::end(Result<void> result, bool given_up) {
  if (storage::Log* log = partition_->log(); log && cleaning_ && log->is_cleaning(*cleaning_))
    log->abandon_cleaning();
  CleaningOutcome outcome{.result = std::move(result),
                          .given_up = given_up,
                          .stats = cleaning_ ? cleaning_->stats() : storage::CleaningStats{},
                          .took = strand_.now() - started_};
  cleaning_ = nullptr;
  if (done_) std::exchange(done_, nullptr)(std::move(outcome));
}

}  // namespace broker::replication
