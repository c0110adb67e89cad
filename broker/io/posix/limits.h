#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/common/result.h"

namespace broker::io::posix {

/// Where the limits are read; tests point it at a directory of their own.
struct CgroupRoots {
  std::string proc_self_cgroup = "/proc/self/cgroup";
  std::string mount = "/sys/fs/cgroup";
};

/// The smallest memory limit of this process's cgroup and its parents, v1 or v2; nullopt when there
/// is none.
std::optional<std::uint64_t> memory_limit_bytes(const CgroupRoots& roots = {});
/// Whole CPUs this process may use: affinity, and the cgroup's quota rounded up. At least 1.
unsigned usable_cpus(const CgroupRoots& roots = {});
/// Raises the soft limit of open files to the hard limit and returns it.
Result<std::uint64_t> raise_fd_limit();

}  // namespace broker::io::posix
