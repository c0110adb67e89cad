#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "broker/common/rate.h"
#include "broker/metadata/client_quotas.h"

namespace broker::server {

/// How many connections may be open, and how fast new ones may come; Kafka's keys in brackets. May
/// change while the server runs.
struct ConnectionLimits {
  static constexpr std::int32_t kUnlimited = 0x7fffffff;
  struct OfListener {
    std::int32_t max_connections = kUnlimited;
    std::int32_t creation_rate = kUnlimited;  // per second
  };

  std::int32_t max_connections = kUnlimited;  // max.connections
  std::int32_t creation_rate = kUnlimited;    // max.connection.creation.rate, per second
  std::int32_t max_per_ip = kUnlimited;       // max.connections.per.ip
  std::map<std::string, std::int32_t> max_per_ip_overrides;
  std::map<std::string, OfListener> listeners;  // the same keys behind listener.name.<l>.
  /// The broker's own listener: it is not bound by max_connections, others give way to it.
  std::string protected_listener;
  /// Those of controllers: the limits count for each by itself, whoever else is connected.
  std::set<std::string> separate_listeners;
  metadata::ClientQuotasImage quotas;  // connection_creation_rate of addresses
};

/// Who may connect, as Kafka decides it. Pure; belongs to the strand that accepts.
class ConnectionGate {
 public:
  explicit ConnectionGate(RateWindow window)
      : window_(window), accepted_(window), longest_wait_(window.sample) {}

  void set_limits(ConnectionLimits limits) { limits_ = std::move(limits); }

  /// A connection has come: how long it waits so that the rates of broker and listener are kept;
  /// at most one sample's length.
  std::chrono::milliseconds arrive(const std::string& listener, Instant now);
  /// Whether another one may be open; if not, it waits until one ends.
  bool has_slot(const std::string& listener) const;

  struct Admitted {};
  struct TooManyFromHost {
    std::int32_t limit;
  };
  struct TooFastFromHost {
    std::chrono::milliseconds close_after;
  };
  /// Its turn has come. Admitted ones are counted until closed(); the others are to be closed.
  std::variant<Admitted, TooManyFromHost, TooFastFromHost> admit(const std::string& listener,
                                                                 const std::string& host,
                                                                 Instant now);
  void closed(const std::string& listener, const std::string& host);

  /// More are open than may be: the least active one of another listener is to end.
  bool has_excess() const { return total_ > limits_.max_connections; }
  bool may_be_closed_for_others(const std::string& listener) const {
    return !is_protected(listener) && !limits_.separate_listeners.contains(listener);
  }

 private:
  std::chrono::milliseconds wait(SampledRate& rate, double limit, Instant now) const;
  bool is_protected(const std::string& listener) const;
  ConnectionLimits::OfListener limits_of(const std::string& listener) const;
  std::optional<std::chrono::milliseconds> too_fast(const std::string& host, Instant now);

  const RateWindow window_;
  ConnectionLimits limits_;
  SampledRate accepted_;
  std::map<std::string, SampledRate> accepted_by_listener_;
  std::map<std::string, SampledRate> accepted_by_host_;  // only while addresses have a limit
  std::size_t look_at_size_ = 1024;                      // of the map before
  std::int32_t total_ = 0;
  std::map<std::string, std::int32_t> by_listener_;
  std::map<std::string, std::int32_t> by_host_;
  const std::chrono::milliseconds longest_wait_;
};

}  // namespace broker::server
