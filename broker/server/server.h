#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/security/types.h"
#include "broker/server/connection_gate.h"
#include "broker/server/metrics.h"
#include "broker/server/request.h"
#include "broker/server/sasl_options.h"

namespace broker::server {

/// Kafka's limits; names in brackets are its keys.
struct Limits {
  std::int32_t max_request_bytes = 104'857'600;                // socket.request.max.bytes
  std::int32_t max_sasl_token_bytes = 524'288;                 // sasl.server.max.receive.size
  std::chrono::milliseconds max_idle{600'000};                 // connections.max.idle.ms
  std::chrono::milliseconds failed_authentication_delay{100};  // connection.failed.authentication…
  std::chrono::milliseconds max_login{30'000};  // from being accepted to having shown who one is
  // Pipelining: requests are started in order and answered in order.
  std::size_t max_in_flight_requests = 64;      // per connection; reading pauses
  std::size_t max_in_flight_bytes = 128 << 20;  // per connection; one larger request is let through
  std::size_t max_unsent_bytes = 8 << 20;       // answers the peer does not take; reading pauses
};

struct ListenerOptions {
  std::string name;
  SecurityProtocol protocol = SecurityProtocol::kPlaintext;
  io::Endpoint bind;                        // port 0: a free one
  std::optional<io::TlsServerOptions> tls;  // for SSL and SASL_SSL
  SaslOptions sasl;                         // for SASL_*
  std::string principal_mapping_rules;      // ssl.principal.mapping.rules
  Limits limits;
};

struct ServerOptions {
  std::vector<ListenerOptions> listeners;
  ConnectionLimits connections;
  RateWindow connection_rate_window;
  std::size_t max_waiting_connections = 50;  // per listener, for the limits of connections
  /// Per strand, of those who have not shown yet who they are: above it the oldest is cut.
  std::size_t max_strangers = 2048;
  std::size_t max_request_memory = 512u << 20;  // request bodies not yet answered, split by strand
};

/// The broker's listeners and connections: framing, TLS, SASL, order of answers, bounds. Knows no
/// API's rules. Its methods are called one at a time, on the first strand or from a thread that is
/// none of the strands; none of them waits for a strand.
class Server {
 public:
  struct Ports {
    io::Transport& transport;
    std::vector<io::Strand*> strands;  // connections are spread over them; outlive the server
    RequestSink& sink;                 // outlives the server
    const CredentialStore* credentials = nullptr;  // needed by SASL listeners
  };

  Server(Ports ports, ServerOptions options);
  /// After stop() has called back, or when the strands run no more.
  ~Server();

  /// Opens every listener, in order, or none. Errors: kInvalidConfig, kBrokerNotAvailable; the
  /// detail names the listener.
  Result<void> start();
  /// Listener name → where it really listens.
  std::map<std::string, io::Endpoint> bound_endpoints() const;
  /// In force for what comes from now on; when fewer are allowed than are open, the least active
  /// ones end. Connections above a limit wait for a slot or for their turn, as in Kafka; those
  /// above an address's limit are closed.
  void set_connection_limits(ConnectionLimits limits);
  /// New connections are refused from here on; existing ones go on.
  void stop_accepting();
  /// Stops reading, waits at most `patience` for requests in flight, then closes every connection.
  /// `on_stopped` runs on the first strand. Call it once; the strands must run until then.
  void stop(std::chrono::milliseconds patience, Task on_stopped);
  /// Reads changed certificate files. New connections use them; the first error is returned after
  /// all listeners were tried. Returns whether anything changed.
  Result<bool> reload_tls();

  const ListenerMetrics& metrics(const std::string& listener) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace broker::server
