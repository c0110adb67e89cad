#pragma once

#include <chrono>

#include "broker/io/strand.h"

namespace broker::app {

/// Tells malloc to keep what was freed: with glibc's own limits every fetched megabyte is mapped,
/// zeroed by the kernel and unmapped again, which costs more than the copying. Once per process,
/// before threads start.
void keep_freed_memory();

/// Gives what malloc kept for `strand`'s thread back to the system when the process has become
/// idle. Started on its strand; ends with it.
class IdleMemory {
 public:
  explicit IdleMemory(io::Strand& strand) : strand_(strand) {}
  void start();

 private:
  void check();

  io::Strand& strand_;
  std::chrono::microseconds used_{0};  // processor time of the process at the last look
  bool given_back_ = false;            // nothing has happened since
};

}  // namespace broker::app
