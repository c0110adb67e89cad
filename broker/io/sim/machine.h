#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/io/sim/disk.h"
#include "broker/io/sim/network.h"
#include "broker/io/sim/process.h"

namespace broker::io::sim {

/// One run of a program on a machine: its ports. The machine owns it; what uses the ports is
/// destroyed before it, as the parts of a broker die before its loops.
class Process {
 public:
  Process(Scheduler& scheduler, std::shared_ptr<Life> life, std::unique_ptr<FileSystem> files,
          std::unique_ptr<Transport> transport, std::size_t cores);
  ~Process();

  const Life& life() const { return *life_; }
  bool alive() const { return life_->alive; }
  FileSystem& files() { return *files_; }
  Transport& transport() { return *transport_; }
  WorkerPool& workers() { return *workers_; }
  Strand& main() { return *strands_.front(); }
  std::vector<Strand*> strands();

 private:
  friend class Machine;
  const std::shared_ptr<Life> life_;
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<SimWorkers> workers_;
  std::vector<std::unique_ptr<SimStrand>> strands_;
};

/// A computer: disk, network interface, a clock that may be wrong, and one process at a time.
class Machine {
 public:
  Machine(Scheduler& scheduler, Network& network, std::string name);

  const std::string& name() const { return name_; }
  Network::MachineId id() const { return id_; }
  Disk& disk() { return disk_; }

  /// Starts a process; the one before must be dead. Turns the power on.
  std::unique_ptr<Process> boot(std::size_t cores = 1);
  /// kill -9: what the process wrote stays in the page cache, its connections are reset. May be
  /// called from inside one of its tasks, which then goes on without effect; the ports live until
  /// the Process is destroyed.
  void kill(Process& process);
  /// The page cache is lost, and the network hears nothing. Also without a process.
  void lose_power(Process* process);
  /// SIGSTOP until `time` from now; the kernel goes on accepting and acknowledging.
  void freeze(Process& process, Duration time);
  void thaw(Process& process);
  /// Of every process from now on, and of this one.
  void set_clock_skew(WallMs skew, Process* process = nullptr);

 private:
  Scheduler& scheduler_;
  Network& network_;
  const std::string name_;
  const Network::MachineId id_;
  Disk disk_;
  WallMs clock_skew_ = 0;
  int boots_ = 0;
};

}  // namespace broker::io::sim
