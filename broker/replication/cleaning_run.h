#pragma once

#include <limits>
#include <memory>

#include "broker/io/strand.h"
#include "broker/replication/partition.h"
#include "broker/storage/log_cleaning.h"

namespace broker::replication {

/// How a pass over one log may go about it.
struct CleaningPace {
  storage::CleanerLimits limits;
  std::size_t step_bytes = 512 << 10;
  double max_bytes_per_second = std::numeric_limits<double>::infinity();  // read and written
};

struct CleaningOutcome {
  Result<void> result;
  bool given_up = false;  // the log was truncated or went away; nothing is wrong with it
  storage::CleaningStats stats;
  Duration took{};
};

/// Drives one storage::LogCleaning: steps on the pool, swaps on the partition's strand, pauses
/// between so that the disk is not read faster than it may be. Lives on that strand and keeps
/// itself alive until `done` has run.
class CleaningRun : public std::enable_shared_from_this<CleaningRun> {
 public:
  using Done = UniqueFunction<void(CleaningOutcome)>;
  CleaningRun(std::shared_ptr<Partition> partition, io::Strand& strand, io::WorkerPool& workers,
              CleaningPace pace, Done done);

  void start(const storage::Cleanable& what);
  /// Ends it where it is, once the pool has let go of it.
  void give_up();

 private:
  void step();
  void on_step(const Result<storage::LogCleaning::Step>& step);
  void go_on();
  void end(Result<void> result, bool given_up = false);

  const std::shared_ptr<Partition> partition_;
  io::Strand& strand_;
  io::WorkerPool& workers_;
  const CleaningPace pace_;
  Done done_;
  std::shared_ptr<storage::LogCleaning> cleaning_;
  Instant started_{};
  bool stopping_ = false;
  bool on_pool_ = false;
  io::TimerId timer_ = io::kNoTimer;
};

}  // namespace broker::replication
