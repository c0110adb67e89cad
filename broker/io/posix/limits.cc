#include "broker/io/posix/limits.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <vector>

#include "broker/io/posix/socket.h"

namespace broker::io::posix {
namespace {

// cgroup v1 writes "no limit" as the largest page multiple; nothing near it is a limit.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;  // "max", "-1"
  return value;
}

struct Cgroup {
  std::string hierarchy;  // directory of the controller's hierarchy
  std::string path;       // "/kubepods/…" inside it
  bool v2 = false;
};

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const std::size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == wanted) return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

/// /proc/self/cgroup has "<id>:<controllers>:<path>" per hierarchy; v2 has no controllers and id 0.
/// On a hybrid machine a controller is in v1 if v1 names it.
std::optional<Cgroup> find_cgroup(const CgroupRoots& roots, std::string_view controller) {
  std::ifstream file(roots.proc_self_cgroup);
  std::optional<Cgroup> found;
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (lists(controllers, controller)) {
      for (const std::string& name : {controllers, std::string(controller)}) {
        const std::string directory = roots.mount + "/" + name;
        if (std::ifstream(directory + "/cgroup.procs").good())
          return Cgroup{directory, path, false};
      }
      return Cgroup{roots.mount + "/" + std::string(controller), path, false};
    }
    if (controllers.empty() && !found) found = Cgroup{roots.mount, path, true};
  }
  return found;
}

/// The directories of the cgroup and its parents. In a container the path is often one of the host
/// that does not exist here; then the root of the mount is the container's own cgroup.
std::vector<std::string> levels(const Cgroup& cgroup) {
  std::vector<std::string> directories;
  for (std::string path = cgroup.path; !path.empty() && path != "/";
       path.erase(path.find_last_of('/')))
    directories.push_back(cgroup.hierarchy + path);
  directories.push_back(cgroup.hierarchy);
  return directories;
}

/// CPUs of the quota, rounded up; nullopt without a quota.
std::optional<std::uint64_t> quota_cpus(const std::string& directory, bool v2) {
  std::optional<std::uint64_t> quota, period;
  if (v2) {
    const auto line = first_line(directory + "/cpu.max");  // "<quota|max> <period>"
    if (!line) return std::nullopt;
    const std::size_t space = line->find(' ');
    quota = number(std::string_view(*line).substr(0, space));
    if (space != line->npos) period = number(std::string_view(*line).substr(space + 1));
  } else {
    if (const auto line = first_line(directory + "/cpu.cfs_quota_us")) quota = number(*line);
    if (const auto line = first_line(directory + "/cpu.cfs_period_us")) period = number(*line);
  }
  if (!quota || !period || *period == 0) return std::nullopt;
  return std::max<std::uint64_t>(1, (*quota + *period - 1) / *period);
}

}  // namespace

std::optional<std::uint64_t> memory_limit_bytes(const CgroupRoots& roots) {
  const auto cgroup = find_cgroup(roots, "memory");
  if (!cgroup) return std::nullopt;
  std::optional<std::uint64_t> smallest;
  for (const std::string& directory : levels(*cgroup)) {
    const auto line =
        first_line(directory + (cgroup->v2 ? "/memory.max" : "/memory.limit_in_bytes"));
    const auto limit = line ? number(*line) : std::nullopt;
    if (limit && *limit < kNoLimit) smallest = std::min(smallest.value_or(*limit), *limit);
  }
  return smallest;
}

unsigned usable_cpus(const CgroupRoots& roots) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::uint64_t cpus = 1;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    cpus = static_cast<std::uint64_t>(CPU_COUNT(&set));
  if (const auto cgroup = find_cgroup(roots, "cpu")) {
    for (const std::string& directory : levels(*cgroup))
      if (const auto quota = quota_cpus(directory, cgroup->v2)) cpus = std::min(cpus, *quota);
  }
  return static_cast<unsigned>(std::max<std::uint64_t>(1, cpus));
}

Result<std::uint64_t> raise_fd_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return Error{ErrorCode::kUnknownServerError, "open files limit: " + system_reason(errno)};
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
      return Error{ErrorCode::kUnknownServerError, "open files limit: " + system_reason(errno)};
  }
  return static_cast<std::uint64_t>(limit.rlim_cur);
}

}  // namespace broker::io::posix
