#include "broker/app/idle_memory.h"

#include <malloc.h>
#include <sys/resource.h>

#include <cstdlib>
#include <mutex>

namespace broker::app {
namespace {

constexpr int kMaxArenas = 2;  // glibc's default of eight per core keeps memory of every thread
constexpr int kKeptBytes = 32 << 20;
// Above what a partition's read or a request usually takes.
constexpr int kOwnMappingBytes = 8 << 20;

constexpr int kPieceBytes = 128 << 10;

constexpr auto kInterval = std::chrono::seconds(10);
constexpr auto kIdle = std::chrono::milliseconds(50);  // 0.5 % of a core

std::chrono::microseconds processor_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// malloc_trim leaves the end of an arena that is not the main one; only a larger free in this
/// arena cuts it, if the limit is low then.
void give_back_freed_memory() {
  static std::mutex limit;
  const std::lock_guard lock(limit);
  malloc_trim(0);
  mallopt(M_TRIM_THRESHOLD, kPieceBytes);
  void* volatile piece = std::malloc(kPieceBytes);
  std::free(piece);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

}  // namespace

void keep_freed_memory() {
  mallopt(M_ARENA_MAX, kMaxArenas);
  mallopt(M_MMAP_THRESHOLD, kOwnMappingBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

void IdleMemory::start() {
  strand_.call_after(kInterval, [this] { check(); });
}

void IdleMemory::check() {
  const auto used = processor_time();
  const bool idle = used - used_ < kIdle;
  used_ = used;
  if (idle && !given_back_) give_back_freed_memory();
  given_back_ = idle;
  start();
}

}  // namespace broker::app
