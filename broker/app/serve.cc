#include "broker/app/serve.h"

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>

#include "broker/app/http_endpoint.h"
#include "broker/common/log.h"
#include "broker/io/posix/signals.h"

namespace broker::app {
namespace {

/// Why the process ends: a signal, or a node that cannot go on.
class Ending {
 public:
  void set(int exit_code) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      ended_ = true;
      exit_code_ = exit_code;
    }
    changed_.notify_all();
  }
  int wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
    return exit_code_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  int exit_code_ = 0;
};

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
  Ending ending;
  const auto signals = io::posix::watch_signals(machine.main_loop(), {SIGTERM, SIGINT},
                                                [&ending](int) { ending.set(0); });
  node::Node node(machine.ports(), std::move(options.config));
  node.on_fatal([&ending](const Error&) { ending.set(1); });

  std::unique_ptr<HttpEndpoint> http;
  if (!options.http_listen.empty()) {
    const auto endpoint = parse_endpoint(options.http_listen);
    if (!endpoint.ok()) return fail("--http: " + endpoint.error().detail);
    auto started = HttpEndpoint::start(*endpoint, node, machine.main_loop());
    if (!started.ok()) {
      machine.stop();  // the node is taken down here, and its timers belong to the loops
      return fail("health and metrics: " + started.error().detail);
    }
    http = std::move(*started);
  }
  const auto started = node.start();
  if (!started.ok()) {
    http.reset();
    const int code = fail("cannot start: " + started.error().detail);
    if (const auto stopped = node.stop(); !stopped.ok()) fail(to_string(stopped.error()));
    machine.stop();
    return code;
  }
  log_info("app", "serving clients",
           {{"node", node.config().node_id.value}, {"clusterId", node.cluster_id()}});
  if (options.on_ready) {
    options.on_ready(node, http ? std::optional(http->local()) : std::nullopt);
  }
  int code = ending.wait();
  log_info("app", "stopping");
  if (const auto stopped = node.stop(); !stopped.ok()) {
    log_error("app", "not a clean stop", {{"error", to_string(stopped.error())}});
    code = 1;
  }
  http.reset();
  machine.stop();
  log_info("app", "stopped");
  return code;
}

}  // namespace broker::app
