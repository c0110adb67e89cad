#include "operator/app/process.h"

#include <malloc.h>
#include <signal.h>

#include <cstdio>

#include "broker/common/log.h"
#include "broker/io/posix/transport.h"
#include "operator/kafka/connector.h"

namespace op::app {
namespace {

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

void prepare_process(const Options& options) {
  const sigset_t signals = stop_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread
  signal(SIGPIPE, SIG_IGN);
  mallopt(M_ARENA_MAX, 2);  // some twenty threads, nearly always idle
  mallopt(M_TRIM_THRESHOLD, 256 << 10);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  if (options.text_log) broker::set_log_format(broker::LogFormat::kText);
  broker::set_log_level(options.log_level == "debug"   ? broker::LogLevel::kDebug
                        : options.log_level == "warn"  ? broker::LogLevel::kWarn
                        : options.log_level == "error" ? broker::LogLevel::kError
                                                       : broker::LogLevel::kInfo);
}

void wait_for_stop_signal() {
  const sigset_t signals = stop_signals();
  int got = 0;
  sigwait(&signals, &got);
  broker::log_info("app", "stopping", {{"signal", got == SIGTERM ? "SIGTERM" : "SIGINT"}});
}

bool stop_requested() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

KafkaRuntime::KafkaRuntime(const Options& options)
    : transport_(broker::io::posix::make_posix_transport()),
      connector_(kafka::make_connector(
          loop_, *transport_, {.interval = std::chrono::seconds(options.offsets_seconds)})) {
  loop_.start();
}

KafkaRuntime::~KafkaRuntime() {
  loop_.stop();
  loop_.join();
}

broker::Result<std::unique_ptr<broker::io::posix::HttpServer>> start_http(
    const Options& options, std::function<bool()> ready, std::function<std::string()> metrics) {
  using broker::io::posix::HttpRequest;
  using broker::io::posix::HttpResponse;
  if (options.http.port == 0) return std::unique_ptr<broker::io::posix::HttpServer>();
  return broker::io::posix::HttpServer::start(
      {.endpoint = options.http, .max_connections = 32},
      [ready = std::move(ready), metrics = std::move(metrics)](const HttpRequest& request) {
        HttpResponse response;
        if (request.path == "/livez") {
          response.body = "ok\n";
        } else if (request.path == "/readyz") {
          const bool is_ready = ready();
          response.status = is_ready ? 200 : 503;
          response.body = is_ready ? "ok\n" : "not ready: the caches are not filled yet\n";
        } else if (request.path == "/metrics") {
          response.content_type = "text/plain; version=0.0.4; charset=utf-8";
          response.body = metrics();
        } else {
          response.status = 404;
          response.body = "not found; there are /livez, /readyz and /metrics\n";
        }
        return response;
      });
}

int fail(const std::string& what) {
  std::fprintf(stderr, "millrace-operator: %s\n", what.c_str());
  return 1;
}

}  // namespace op::app
