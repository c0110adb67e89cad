#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/config/broker_config.h"
#include "broker/io/address_book.h"
#include "broker/io/file.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/node/metrics.h"
#include "broker/server/server.h"

namespace broker::node {

struct DiskSpace {
  std::int64_t total_bytes = 0;
  std::int64_t usable_bytes = 0;
};

/// What a node runs on. Everything outlives it.
struct Ports {
  io::FileSystem& files;
  io::Transport& transport;
  std::vector<io::Strand*>
      strands;  // at least one; the first runs controller, quorum and membership
  io::WorkerPool& workers;
  std::uint64_t seed = 0;  // of ids and jitter; from the operating system, or a simulation's
  std::size_t request_memory = 256 << 20;  // bytes of request bodies in memory at once
  std::size_t disk_reserve = 0;  // bytes set aside in a log directory, see storage::DirectoryHealth
  /// Where other nodes reach this one, a number, so that none of them depends on a name server's
  /// memory; "" leaves them the names of its listeners alone.
  std::string address{};
  /// Of `transport`: gets the addresses of others. Null: their names alone count.
  std::shared_ptr<io::AddressBook> addresses{};
  /// Of the file system of a path, from any thread; may be empty.
  std::function<std::optional<DiskSpace>(const std::string& path)> disk_space{};
};

/// One Kafka node, broker and controller: everything between main() and the modules. app/ hands it
/// the machine, a simulation its own ports. Nothing here blocks: start(), stop() and collect() are
/// called on the main strand (`ports.strands.front()`), where their callbacks run, never from
/// inside the call.
class Node {
 public:
  Node(Ports ports, config::BrokerConfig config);
  /// After stop() has called back or before start(); or when no strand runs any more (a crash).
  ~Node();

  /// Opens the log directory (which must be formatted), replays the metadata, opens the listeners,
  /// registers, recovers the logs; `done` when clients are served. Errors: what cannot be started,
  /// and why; then stop() is still to be called.
  void start(UniqueFunction<void(Result<void>)> done);
  /// Controlled shutdown: leaders away, requests in flight finished, logs closed, directory marked
  /// clean. While start() is under way it ends that first, with kBrokerNotAvailable.
  void stop(UniqueFunction<void(Result<void>)> done);

  /// From any thread. Clients are served.
  bool ready() const;
  /// Called on the main strand when the node cannot go on (its metadata log or its log directory
  /// failed). Set before start().
  void on_fatal(std::function<void(const Error&)> callback);

  /// Gathers from all strands. Not after stop().
  void collect(UniqueFunction<void(NodeMetrics)> done);

  // From any thread once start() has called back.
  std::map<std::string, io::Endpoint> bound_endpoints() const;
  const std::string& cluster_id() const;
  const server::ListenerMetrics& listener_metrics(const std::string& listener) const;
  const config::BrokerConfig& config() const;
  /// The cluster as this node's requests see it. From any thread, at any time.
  metadata::ImagePtr image() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace broker::node
