#include "broker/app/serve.h"

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <optional>

#include "broker/app/http_endpoint.h"
#include "broker/app/wait.h"
#include "broker/common/log.h"
#include "broker/io/posix/signals.h"

namespace broker::app {
namespace {

/// How far the process is: the main thread waits for it, loops and signals report.
class Progress {
 public:
  void started(Result<void> result) {
    change([&] { started_ = std::move(result); });
  }
  /// A signal, or a node that cannot go on; the first one counts.
  void ended(int exit_code) {
    change([&] {
      if (!exit_code_) exit_code_ = exit_code;
    });
  }
  /// The outcome of the start; nothing when the process is to end before.
  std::optional<Result<void>> wait_for_start() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return started_ || exit_code_; });
    return started_;
  }
  int wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return exit_code_.has_value(); });
    return *exit_code_;
  }

 private:
  template <class Change>
  void change(Change apply) {
    {
      const std::lock_guard lock(mutex_);
      apply();
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<void>> started_;
  std::optional<int> exit_code_;
};

Result<void> stop(node::Node& node, io::Strand& main) {
  return run_until_done<Result<void>>(main, [&node](auto done) {
    node.stop([done](Result<void> result) mutable { done(std::move(result)); });
  });
}

}  // namespace

int fail(const std::string& what) {
  std::fprintf(stderr, "millrace-broker: %s\n", what.c_str());
  return 1;
}

Result<io::Endpoint> parse_endpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  const Error wrong{ErrorCode::kInvalidConfig, "'" + text + "' is not host:port"};
  if (colon == std::string::npos || colon + 1 == text.size() || text.size() - colon > 6)
    return wrong;
  std::string host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  unsigned port = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9') return wrong;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port > 65535) return wrong;
  return io::Endpoint{std::move(host), static_cast<std::uint16_t>(port)};
}

int serve(Machine& machine, ServeOptions options) {
  Progress progress;
  io::Strand& main = machine.main_loop();
  const auto signals = io::posix::watch_signals(machine.main_loop(), {SIGTERM, SIGINT},
                                                [&progress](int) { progress.ended(0); });
  node::Node node(machine.ports(), std::move(options.config));
  node.on_fatal([&progress](const Error&) { progress.ended(1); });

  std::unique_ptr<HttpEndpoint> http;
  if (!options.http_listen.empty()) {
    const auto endpoint = parse_endpoint(options.http_listen);
    if (!endpoint.ok()) return fail("--http: " + endpoint.error().detail);
    auto started = HttpEndpoint::start(*endpoint, node, main);
    if (!started.ok()) {
      machine.stop();  // the node is taken down here, and its timers belong to the loops
      return fail("health and metrics: " + started.error().detail);
    }
    http = std::move(*started);
  }
  main.post([&] { node.start([&](Result<void> result) { progress.started(std::move(result)); }); });
  const auto started = progress.wait_for_start();
  if (started && !started->ok()) {
    progress.ended(fail("cannot start: " + started->error().detail));
  } else if (started) {
    log_info("app", "serving clients",
             {{"node", node.config().node_id.value}, {"clusterId", node.cluster_id()}});
    if (options.on_ready) {
      options.on_ready(node, http ? std::optional(http->local()) : std::nullopt);
    }
  }
  int code = progress.wait_for_end();
  log_info("app", "stopping");
  if (const auto stopped = stop(node, main); !stopped.ok()) {
    log_error("app", "not a clean stop", {{"error", to_string(stopped.error())}});
    code = 1;
  }
  http.reset();
  machine.stop();
  log_info("app", "stopped");
  return code;
}

}  // namespace broker::app
