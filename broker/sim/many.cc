#include "broker/sim/many.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "broker/common/check.h"

namespace broker::sim {
namespace {

/// What a worker writes into its pipe for each seed: one of these, then the violation's text.
struct Message {
  Report numbers_of() const {
    Report report;
    report.seed = seed;
    report.simulated = Duration(simulated);
    report.trace_hash = trace_hash;
    report.events = events;
    report.faults = faults;
    report.acknowledged = acknowledged;
    report.read = read;
    report.commits = commits;
    report.committed_transactions = committed_transactions;
    report.aborted_transactions = aborted_transactions;
    report.handovers = handovers;
    return report;
  }
  std::uint64_t seed, trace_hash, events, faults, acknowledged, read, commits,
      committed_transactions, aborted_transactions, handovers;
  std::int64_t simulated;
  std::uint64_t violation_bytes;  // 0: none
};

void write_all(int fd, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n <= 0) ::_exit(2);  // nobody listens any more
    at += n;
    size -= static_cast<std::size_t>(n);
  }
}

bool read_all(int fd, void* data, std::size_t size) {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::read(fd, at, size);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

struct Worker {
  pid_t pid = -1;
  int fd = -1;
  std::uint64_t seed = 0;  // that it is running, or will run
};

class Many {
 public:
  Many(const ManyOptions& options, const std::function<void(const Report&)>& on_report)
      : options_(options),
        on_report_(on_report),
        workers_(static_cast<std::size_t>(options.jobs)) {}

  ManyResult execute() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i].seed = options_.first + i;
      start(workers_[i]);
    }
    while (wait_for_one()) {
      if (options_.until_failure && result_.failed > 0) break;
    }
    for (Worker& worker : workers_) {
      if (worker.fd < 0) continue;
      ::kill(worker.pid, SIGKILL);
      ::waitpid(worker.pid, nullptr, 0);
      ::close(worker.fd);
    }
    return result_;
  }

 private:
  bool may_begin(std::uint64_t seed) const {
    if (seed - options_.first >= options_.count) return false;
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun_;
    return options_.seconds <= 0 || taken.count() < options_.seconds;
  }

  void start(Worker& worker) {
    if (!may_begin(worker.seed)) return;
    int ends[2];
    CHECK(::pipe(ends) == 0);
    worker.pid = ::fork();
    CHECK(worker.pid >= 0);
    if (worker.pid == 0) {
      ::close(ends[0]);
      work(ends[1], worker.seed);
      ::_exit(0);
    }
    ::close(ends[1]);
    worker.fd = ends[0];
  }

  void work(int fd, std::uint64_t seed) const {
#ifdef MILLRACE_DEFECTS
    g_defect = options_.defect;
#endif
    for (; may_begin(seed); seed += workers_.size()) {
      Plan plan = draw_plan(seed);
      if (options_.nodes > 0) plan.nodes = options_.nodes;
      const Report report = run(plan);
      const std::string violation = report.violation.value_or("");
      const Message message{report.seed,
                            report.trace_hash,
                            report.events,
                            report.faults,
                            report.acknowledged,
                            report.read,
                            report.commits,
                            report.committed_transactions,
                            report.aborted_transactions,
                            report.handovers,
                            report.simulated.count(),
                            violation.size()};
      write_all(fd, &message, sizeof message);
      write_all(fd, violation.data(), violation.size());
    }
  }

  bool wait_for_one() {
    std::vector<pollfd> polls;
    std::vector<Worker*> owners;
    for (Worker& worker : workers_) {
      if (worker.fd < 0) continue;
      polls.push_back({worker.fd, POLLIN, 0});
      owners.push_back(&worker);
    }
    if (polls.empty()) return false;
    CHECK(::poll(polls.data(), polls.size(), -1) > 0);
    for (std::size_t i = 0; i < polls.size(); ++i) {
      if (polls[i].revents != 0) receive(*owners[i]);
    }
    return true;
  }

  void receive(Worker& worker) {
    Message message;
    if (!read_all(worker.fd, &message, sizeof message)) return end(worker);
    Report report = message.numbers_of();
    if (message.violation_bytes > 0) {
      report.violation = std::string(message.violation_bytes, ' ');
      if (!read_all(worker.fd, report.violation->data(), message.violation_bytes)) {
        return end(worker);
      }
    }
    worker.seed = report.seed + workers_.size();
    count(report);
  }

  /// It is through, or it died in its seed.
  void end(Worker& worker) {
    ::close(std::exchange(worker.fd, -1));
    int status = 0;
    ::waitpid(worker.pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    Report report;
    report.seed = worker.seed;
    report.violation = WIFSIGNALED(status)
                           ? std::string("the process died: ") + ::strsignal(WTERMSIG(status))
                           : "the process ended";
    count(report);
    worker.seed += workers_.size();
    start(worker);
  }

  void count(const Report& report) {
    ++result_.seeds;
    if (report.violation) ++result_.failed;
    result_.simulated_hours += std::chrono::duration<double>(report.simulated).count() / 3600;
    result_.faults += report.faults;
    result_.acknowledged += report.acknowledged;
    result_.read += report.read;
    result_.commits += report.commits;
    result_.committed_transactions += report.committed_transactions;
    result_.aborted_transactions += report.aborted_transactions;
    result_.handovers += report.handovers;
    result_.events += report.events;
    on_report_(report);
  }

  const ManyOptions options_;
  const std::function<void(const Report&)>& on_report_;
  std::vector<Worker> workers_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  ManyResult result_;
};

}  // namespace

ManyResult run_many(const ManyOptions& options,
                    const std::function<void(const Report& report)>& on_report) {
  return Many(options, on_report).execute();
}

}  // namespace broker::sim
