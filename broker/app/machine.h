#pragma once

#include <memory>
#include <vector>

#include "broker/app/idle_memory.h"
#include "broker/config/broker_config.h"
#include "broker/io/file.h"
#include "broker/io/posix/event_loop.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/node/node.h"

namespace broker::app {

/// This process's share of the machine: one event loop per usable core, the disk, the network, a
/// small pool.
class Machine {
 public:
  /// `loops` 0: one per usable core.
  explicit Machine(std::size_t loops);
  ~Machine();

  node::Ports ports();
  io::posix::EventLoop& main_loop() { return *loops_.front(); }
  io::FileSystem& files() { return *files_; }
  /// Finishes what runs on the loops and joins them.
  void stop();

 private:
  std::unique_ptr<io::FileSystem> files_;
  const std::shared_ptr<io::AddressBook> addresses_ = std::make_shared<io::AddressBook>();
  std::unique_ptr<io::Transport> transport_;
  std::vector<std::unique_ptr<io::posix::EventLoop>> loops_;
  std::unique_ptr<io::WorkerPool> workers_;
  std::vector<std::unique_ptr<IdleMemory>> idle_memory_;  // one per loop
};

/// Bytes of request bodies to hold at once: a quarter of the memory limit of the cgroup, within 32
/// and 512 MiB.
std::size_t request_memory();

}  // namespace broker::app
