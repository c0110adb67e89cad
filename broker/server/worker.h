#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "broker/common/function.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/security/principal_mapping.h"
#include "broker/server/frame_reader.h"
#include "broker/server/memory_budget.h"
#include "broker/server/metrics.h"
#include "broker/server/server.h"

namespace broker::server {

class Connection;

/// A listener as its connections see it; immutable but for the metric cells.
struct Listener {
  ListenerOptions options;
  security::PrincipalMapping principal_mapping;
  std::shared_ptr<io::TlsContext> tls;
  std::unique_ptr<io::Acceptor> acceptor;  // touched by the server's thread only
  mutable ListenerMetrics metrics;
};

/// The connections of one strand, and what they share. Everything here is on the strand.
class Worker {
 public:
  Worker(io::Strand& strand, RequestSink& sink, const CredentialStore* credentials,
         std::size_t memory_bytes, std::size_t max_strangers)
      : strand(strand),
        sink(sink),
        credentials(credentials),
        budget(memory_bytes),
        login_budget(std::max<std::size_t>(1 << 20, memory_bytes / 16)),
        max_strangers_(max_strangers) {}

  /// `on_closed` runs here when the connection is gone.
  void adopt(std::shared_ptr<const Listener> listener, std::unique_ptr<io::Stream> stream,
             Task on_closed);
  void forget(std::uint64_t connection);
  /// It has shown who it is.
  void know(std::uint64_t connection) { strangers_.erase(connection); }
  /// Closes the least active connection of these listeners; false if there is none.
  bool close_least_active(const std::set<std::string>& listeners);
  /// Every connection ends when its answers are sent, at the latest after `patience`; then `done`.
  void stop(std::chrono::milliseconds patience, Task done);

  io::Strand& strand;
  RequestSink& sink;
  const CredentialStore* const credentials;
  ReceiveArena arena;
  MemoryBudget budget;
  MemoryBudget login_budget;  // of connections that are not authenticated yet

 private:
  void check_stopped();
  void cut_oldest_stranger();

  const std::size_t max_strangers_;
  // By age, not by address: a simulated broker stops in the same order every time.
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::set<std::uint64_t> strangers_;
  std::uint64_t next_connection_ = 1;
  bool stopping_ = false;
  io::TimerId stop_timer_ = io::kNoTimer;
  Task stopped_;
};

}  // namespace broker::server
