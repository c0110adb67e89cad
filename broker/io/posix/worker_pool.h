#pragma once

#include <cstddef>
#include <memory>

#include "broker/io/strand.h"

namespace broker::io::posix {

/// `threads` threads that take work in the order it came. The destructor finishes what is queued
/// and joins; strands given to run() must still exist then.
std::unique_ptr<WorkerPool> make_worker_pool(std::size_t threads);

}  // namespace broker::io::posix
