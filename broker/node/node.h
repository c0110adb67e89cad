#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/config/broker_config.h"
#include "broker/io/file.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/node/metrics.h"
#include "broker/server/server.h"

namespace broker::node {

/// What a node runs on. Everything outlives it.
struct Ports {
  io::FileSystem& files;
  io::Transport& transport;
  std::vector<io::Strand*>
      strands;  // at least one; the first runs controller, quorum and membership
  io::WorkerPool& workers;
  std::uint64_t seed = 0;  // of ids and jitter; from the operating system, or a simulation's
  std::size_t request_memory = 256 << 20;  // bytes of request bodies in memory at once
};

/// One Kafka node, broker and controller: everything between main() and the modules. app/ hands it
/// the machine, a simulation its own ports. start(), stop() and the questions are called from a
/// thread that is none of the strands.
class Node {
 public:
  Node(Ports ports, config::BrokerConfig config);
  /// After stop().
  ~Node();

  /// Opens the log directory (which must be formatted), replays the metadata, opens the listeners,
  /// registers, recovers the logs, and returns when clients are served. Errors: what cannot be
  /// started, and why.
  Result<void> start();
  /// Controlled shutdown: leaders away, requests in flight finished, logs closed, directory marked
  /// clean.
  Result<void> stop();

  /// From any thread. Clients are served.
  bool ready() const;
  /// Called once, on a strand, when the node cannot go on (its metadata log failed). Set before
  /// start().
  void on_fatal(std::function<void(const Error&)> callback);

  std::map<std::string, io::Endpoint> bound_endpoints() const;
  const std::string& cluster_id() const;
  /// Gathers from all strands; blocks for one turn of each.
  NodeMetrics collect();
  const server::ListenerMetrics& listener_metrics(const std::string& listener) const;
  const config::BrokerConfig& config() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace broker::node
