#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/result.h"

namespace op::provider {

/// A program started by us. It gets SIGTERM when this process dies, however it dies.
class ChildProcess {
 public:
  struct Spec {
    std::vector<std::string> arguments;              // the first is the program, looked up in PATH
    std::map<std::string, std::string> environment;  // added to our own
    std::string output_path;                         // stdout and stderr are appended to it
  };
  /// Errors: kKafkaStorageError with the reason (no such program, no such directory).
  static broker::Result<ChildProcess> start(const Spec& spec);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  /// Kills it if it still runs, and reaps it.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  /// Readable when it has ended; -1 once reaped.
  int pidfd() const { return pidfd_; }
  void terminate();
  void kill();
  /// Reaps without waiting: "exit code 1", "signal 9"; nullopt while it runs.
  std::optional<std::string> ended();

 private:
  ChildProcess(pid_t pid, int pidfd) : pid_(pid), pidfd_(pidfd) {}
  void release();

  pid_t pid_ = -1;
  int pidfd_ = -1;
};

}  // namespace op::provider
