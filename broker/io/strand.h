#pragma once

#include <cstdint>

#include "broker/common/function.h"
#include "broker/common/time.h"

namespace broker::io {

using TimerId = std::uint64_t;
inline constexpr TimerId kNoTimer = 0;

/// One event loop. Everything that lives on a strand is touched by it alone; other strands post a
/// message by value. Implemented by io/posix (an epoll loop and its thread) and io/sim (a seeded
/// scheduler).
class Strand {
 public:
  virtual ~Strand() = default;

  /// Runs `task` later on this strand, after what was posted before. Callable from any thread.
  virtual void post(Task task) = 0;
  virtual bool is_current() const = 0;
  void check_current() const { CHECK(is_current()); }

  /// Monotonic time; constant within one turn of the loop, so that one decision sees one time.
  virtual Instant now() const = 0;
  /// Wall-clock milliseconds since 1970, for record timestamps and the like.
  virtual WallMs wall_now() const = 0;

  /// Runs `task` once, not before `when`. Only from this strand. The id is valid until the task has
  /// run.
  virtual TimerId call_at(Instant when, Task task) = 0;
  TimerId call_after(Duration delay, Task task) { return call_at(now() + delay, std::move(task)); }
  /// A timer that has run or was cancelled is ignored. Only from this strand.
  virtual void cancel(TimerId timer) = 0;
};

/// A few threads for what blocks: fsync, PBKDF2, recovery, compression.
class WorkerPool {
 public:
  virtual ~WorkerPool() = default;
  /// Runs `work` on a pool thread, then `done` on `home`. The queue is bounded by the callers: one
  /// per log and connection.
  virtual void run(Strand& home, Task work, Task done) = 0;
};

}  // namespace broker::io
