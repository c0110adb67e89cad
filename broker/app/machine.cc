#include "broker/app/machine.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "broker/common/log.h"
#include "broker/common/rng.h"
#include "broker/io/posix/limits.h"
#include "broker/io/posix/posix_file.h"
#include "broker/io/posix/transport.h"
#include "broker/io/posix/worker_pool.h"

namespace broker::app {
namespace {

constexpr std::size_t kWorkers = 4;
/// Lasts a controller's log for hours.
constexpr std::size_t kDiskReserve = 4 << 20;
/// The pod's address, from whoever starts this process; see node::Ports.
constexpr const char* kAddressVariable = "MILLRACE_ADDRESS";

std::optional<node::DiskSpace> disk_space(const std::string& path) {
  std::error_code error;
  const auto space = std::filesystem::space(path, error);
  if (error) return std::nullopt;
  return node::DiskSpace{static_cast<std::int64_t>(space.capacity),
                         static_cast<std::int64_t>(space.available)};
}

}  // namespace

Machine::Machine(std::size_t loops) {
  keep_freed_memory();
  if (const auto raised = io::posix::raise_fd_limit(); !raised.ok()) {
    log_warn("app", "the limit of open files stays as it is",
             {{"error", to_string(raised.error())}});
  }
  files_ = io::posix::make_posix_file_system();
  transport_ = io::posix::make_posix_transport({.addresses = addresses_});
  const std::size_t count = loops != 0 ? loops : io::posix::usable_cpus();
  for (std::size_t i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<io::posix::EventLoop>("loop-" + std::to_string(i)));
    loops_.back()->start();
  }
  workers_ = io::posix::make_worker_pool(kWorkers);
  for (auto& loop : loops_) {
    idle_memory_.push_back(std::make_unique<IdleMemory>(*loop));
    loop->post([idle = idle_memory_.back().get()] { idle->start(); });
  }
}

Machine::~Machine() { stop(); }

void Machine::stop() {
  workers_.reset();  // its completions still find their loops
  for (auto& loop : loops_) loop->stop();
  for (auto& loop : loops_) loop->join();
}

node::Ports Machine::ports() {
  std::vector<io::Strand*> strands;
  for (auto& loop : loops_) strands.push_back(loop.get());
  const char* address = std::getenv(kAddressVariable);
  return {*files_,          *transport_,  std::move(strands),     *workers_,  Rng::os_seed(),
          request_memory(), kDiskReserve, address ? address : "", addresses_, disk_space};
}

std::size_t request_memory() {
  const std::uint64_t limit = io::posix::memory_limit_bytes().value_or(4ULL << 30);
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(limit / 4, 32 << 20, 512 << 20));
}

}  // namespace broker::app
