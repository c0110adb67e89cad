#include "broker/io/posix/signals.h"

#include <fcntl.h>
#include <signal.h>

#include <atomic>
#include <cerrno>

#include "broker/io/posix/unique_fd.h"

namespace broker::io::posix {
namespace {

// All that a signal handler may do here is write to this pipe.
std::atomic<int> g_pipe{-1};

extern "C" void write_signal_number(int signal) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(signal);
  // A full pipe already holds signals that wake the loop.
  [[maybe_unused]] const auto n = ::write(g_pipe.load(), &byte, 1);
  errno = saved;
}

class PipeWatcher final : public SignalWatcher, private FdHandler {
 public:
  PipeWatcher(EventLoop& loop, std::vector<int> signals, std::function<void(int)> on_signal)
      : loop_(loop), on_signal_(std::move(on_signal)) {
    int ends[2];
    CHECK_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_end_ = UniqueFd(ends[0]);
    write_end_ = UniqueFd(ends[1]);
    int none = -1;
    CHECK(g_pipe.compare_exchange_strong(none, write_end_.get()));
    if (loop_.is_current())
      loop_.add_fd(read_end_.get(), EPOLLIN, *this), registered_ = true;
    else
      loop_.post([this, alive = alive_] {
        if (!*alive) return;
        loop_.add_fd(read_end_.get(), EPOLLIN, *this);
        registered_ = true;
      });
    for (const int signal : signals) {
      struct sigaction action {};
      action.sa_handler = write_signal_number;
      action.sa_flags = SA_RESTART;
      Old old{signal, {}};
      CHECK_EQ(::sigaction(signal, &action, &old.action), 0);
      old_.push_back(old);
    }
  }

  ~PipeWatcher() override {
    for (const Old& old : old_) ::sigaction(old.signal, &old.action, nullptr);
    g_pipe = -1;
    *alive_ = false;
    if (registered_) loop_.remove_fd(read_end_.get(), *this);
  }

 private:
  struct Old {
    int signal;
    struct sigaction action;
  };

  void on_events(std::uint32_t) override {
    const auto alive = alive_;
    unsigned char signal = 0;
    while (*alive && ::read(read_end_.get(), &signal, 1) == 1) on_signal_(signal);
  }

  EventLoop& loop_;
  const std::function<void(int)> on_signal_;
  UniqueFd read_end_, write_end_;
  std::vector<Old> old_;
  bool registered_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<SignalWatcher> watch_signals(EventLoop& loop, std::vector<int> signals,
                                             std::function<void(int)> on_signal) {
  return std::make_unique<PipeWatcher>(loop, std::move(signals), std::move(on_signal));
}

}  // namespace broker::io::posix
