#pragma once

#include <memory>

#include "broker/io/file.h"

namespace broker::io::posix {

/// The machine's disk. Stateless, so one serves all threads. `sync` is fdatasync, `lock` is flock.
std::unique_ptr<io::FileSystem> make_posix_file_system();

}  // namespace broker::io::posix
