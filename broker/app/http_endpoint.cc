#include "broker/app/http_endpoint.h"

#include <chrono>
#include <future>

#include "broker/app/metrics_text.h"
#include "broker/app/wait.h"

namespace broker::app {
namespace {

constexpr auto kTurnPatience = std::chrono::seconds(3);

bool loop_turns(io::Strand& strand) {
  auto turned = std::make_shared<std::promise<void>>();
  auto future = turned->get_future();
  strand.post([turned] { turned->set_value(); });
  return future.wait_for(kTurnPatience) == std::future_status::ready;
}

std::string metrics_of(node::Node& node, io::Strand& main, std::mutex& mutex,
                       MetricsHistory& history) {
  const std::lock_guard lock(mutex);
  if (!node.ready()) return metrics_text(node, nullptr, history);
  const auto metrics = run_until_done<node::NodeMetrics>(main, [&node](auto done) {
    node.collect([done](node::NodeMetrics gathered) mutable { done(std::move(gathered)); });
  });
  return metrics_text(node, &metrics, history);
}

io::posix::HttpResponse answer(const io::posix::HttpRequest& request, node::Node& node,
                               io::Strand& main, std::mutex& mutex, MetricsHistory& history) {
  if (request.method != "GET") return {405, "text/plain; charset=utf-8", "only GET\n"};
  if (request.path == "/livez") {
    const bool live = loop_turns(main);
    return {live ? 200 : 503, "text/plain; charset=utf-8",
            live ? "ok\n" : "the event loop hangs\n"};
  }
  if (request.path == "/readyz") {
    const bool ready = node.ready();
    return {ready ? 200 : 503, "text/plain; charset=utf-8",
            ready ? "ok\n" : "not serving clients\n"};
  }
  if (request.path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8",
            metrics_of(node, main, mutex, history)};
  }
  return {404, "text/plain; charset=utf-8", "there are /livez, /readyz and /metrics\n"};
}

}  // namespace

Result<std::unique_ptr<HttpEndpoint>> HttpEndpoint::start(const io::Endpoint& endpoint,
                                                          node::Node& node, io::Strand& main) {
  std::unique_ptr<HttpEndpoint> http(new HttpEndpoint());
  io::posix::HttpServerOptions options;
  options.endpoint = endpoint;
  ASSIGN_OR_RETURN(
      http->server_,
      io::posix::HttpServer::start(
          std::move(options), [&node, &main, &mutex = http->mutex_,
                               &history = http->history_](const io::posix::HttpRequest& request) {
            return answer(request, node, main, mutex, history);
          }));
  return http;
}

}  // namespace broker::app
