#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
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

/// How long requests of one API took, from their last byte to their answer; waiting for others
/// (acks=all, a Fetch for records) is in it.
struct RequestTimes {
  /// Upper bounds: 100 µs, and each twice the one before, to 52 s; the last cell has no bound.
  static constexpr std::size_t kCells = 21;
  static constexpr std::chrono::microseconds bound(std::size_t cell) {
    return std::chrono::microseconds(100LL << cell);
  }
  using Counts = std::array<std::int64_t, kCells>;

  void add(std::chrono::microseconds took) {
    std::size_t cell = 0;
    while (cell + 1 < kCells && took > bound(cell)) ++cell;
    cells[cell].add();
    microseconds.add(took.count());
  }
  Counts counts() const {
    Counts out{};
    for (std::size_t i = 0; i < kCells; ++i) out[i] = cells[i].value();
    return out;
  }

  std::array<Counter, kCells> cells;
  Counter microseconds;  // of all, summed
};

/// Per listener; totals since start unless noted.
struct ListenerMetrics {
  static constexpr std::size_t kApis = 100;  // keys of APIs are below
  Counter connections_active;                // now
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
  std::array<RequestTimes, kApis> times;  // by API key

  void add_time(std::int16_t api_key, std::chrono::nanoseconds took) {
    if (api_key < 0 || static_cast<std::size_t>(api_key) >= kApis) return;
    times[static_cast<std::size_t>(api_key)].add(
        std::chrono::duration_cast<std::chrono::microseconds>(took));
  }
};

}  // namespace broker::server
