#include "operator/provider/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace op::provider {
namespace {

using broker::Error;
using broker::ErrorCode;

/// Everything is prepared before fork: the child of a threaded process may only make system calls.
struct Prepared {
  std::vector<char*> argv;
  std::vector<std::string> environment;
  std::vector<char*> envp;
  int output = -1;
};

[[noreturn]] void run_child(const Prepared& prepared, pid_t parent, int report) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // the parent died before the line above
  setpgid(0, 0);  // a Ctrl-C in the terminal is for the operator, which stops us
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(prepared.output, STDOUT_FILENO);
  dup2(prepared.output, STDERR_FILENO);
  execvpe(prepared.argv[0], prepared.argv.data(), prepared.envp.data());
  const int reason = errno;
  if (write(report, &reason, sizeof reason) < 0) _exit(126);
  _exit(127);
}

}  // namespace

broker::Result<ChildProcess> ChildProcess::start(const Spec& spec) {
  Prepared prepared;
  for (const std::string& argument : spec.arguments) {
    prepared.argv.push_back(const_cast<char*>(argument.c_str()));
  }
  prepared.argv.push_back(nullptr);
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!spec.environment.contains(text.substr(0, text.find('=')))) {
      prepared.environment.push_back(text);
    }
  }
  for (const auto& [name, value] : spec.environment) {
    prepared.environment.push_back(name + "=" + value);
  }
  for (std::string& variable : prepared.environment) prepared.envp.push_back(variable.data());
  prepared.envp.push_back(nullptr);
  prepared.output = open(spec.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (prepared.output < 0) {
    return Error{ErrorCode::kKafkaStorageError, spec.output_path + ": " + std::strerror(errno)};
  }
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) {
    close(prepared.output);
    return Error{ErrorCode::kKafkaStorageError, std::string("pipe: ") + std::strerror(errno)};
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) run_child(prepared, parent, report[1]);
  close(report[1]);
  close(prepared.output);
  int reason = pid < 0 ? errno : 0;
  if (pid > 0 && read(report[0], &reason, sizeof reason) <= 0) reason = 0;  // closed by exec
  close(report[0]);
  if (reason != 0) {
    if (pid > 0) waitpid(pid, nullptr, 0);
    return Error{ErrorCode::kKafkaStorageError,
                 "cannot start " + spec.arguments.front() + ": " + std::strerror(reason)};
  }
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  return ChildProcess(pid, fd);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::exchange(other.pidfd_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this == &other) return *this;
  release();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::exchange(other.pidfd_, -1);
  return *this;
}

ChildProcess::~ChildProcess() { release(); }

void ChildProcess::release() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  if (pidfd_ >= 0) close(std::exchange(pidfd_, -1));
}

void ChildProcess::terminate() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}
void ChildProcess::kill() {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

std::optional<std::string> ChildProcess::ended() {
  if (pid_ < 0) return "not running";
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  if (pidfd_ >= 0) close(std::exchange(pidfd_, -1));
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace op::provider
