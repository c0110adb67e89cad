#pragma once

#include <memory>
#include <mutex>

#include "broker/app/metrics_history.h"
#include "broker/io/posix/http_server.h"
#include "broker/io/strand.h"
#include "broker/node/node.h"

namespace broker::app {

/// /livez: the event loops turn. /readyz: clients are served. /metrics: Prometheus text.
class HttpEndpoint {
 public:
  /// `node` and `main` outlive it. It answers while the node is still starting.
  static Result<std::unique_ptr<HttpEndpoint>> start(const io::Endpoint& endpoint, node::Node& node,
                                                     io::Strand& main);
  io::Endpoint local() const { return server_->local(); }

 private:
  HttpEndpoint() = default;
  std::mutex mutex_;  // of the history: requests may come on several threads
  MetricsHistory history_{std::chrono::steady_clock::now()};
  std::unique_ptr<io::posix::HttpServer> server_;
};

}  // namespace broker::app
