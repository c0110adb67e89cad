#pragma once

#include <atomic>
#include <cstdint>

namespace broker::server {

/// A cell that any strand adds to and the exporter reads.
class Counter {
 public:
  void add(std::int64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Per listener; totals since start unless noted.
struct ListenerMetrics {
  Counter connections_active;  // now
  Counter connections_accepted;
  Counter connections_refused;  // over a limit
  Counter connections_closed_idle;
  Counter handshake_failures;
  Counter authentication_successes;
  Counter authentication_failures;
  Counter reauthentication_successes;
  Counter reauthentication_failures;
  Counter expired_connections_killed;
  Counter malformed_requests;
  Counter requests;
  Counter requests_in_flight;  // now
  Counter bytes_received;
  Counter bytes_sent;
};

}  // namespace broker::server
