#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/io/strand.h"

namespace broker::io {

struct Endpoint {
  std::string host;  // name or address text; IPv6 without brackets
  std::uint16_t port = 0;

  auto operator<=>(const Endpoint&) const = default;
};

/// "host:port", "[::1]:9092".
std::string to_string(const Endpoint& endpoint);

/// What the peer proved in the TLS handshake.
struct PeerCertificate {
  std::string subject;             // RFC 2253, e.g. "CN=orders-main-0,O=millrace"
  std::string fingerprint_sha256;  // lower-case hex
};

/// Receives a stream's events on the stream's strand. Must outlive the stream or call close()
/// before it dies.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// Connected, and the TLS handshake (if any) done.
  virtual void on_open() = 0;
  /// Where the next bytes go; never empty while reading is on. The stream reads straight into it.
  virtual std::span<std::uint8_t> read_buffer() = 0;
  /// `n` > 0 bytes are now at the front of the last read_buffer().
  virtual void on_read(std::size_t n) = 0;
  /// Everything written so far has been handed to the system.
  virtual void on_drained() = 0;
  /// Last event. `reason` is kNone for an orderly end by either side; for a failed handshake or
  /// connect it says what was wrong.
  virtual void on_closed(const Error& reason) = 0;
};

/// One connection, plain or TLS, owned by its strand.
class Stream {
 public:
  virtual ~Stream() = default;  // closes at once, without further events
  /// Begins reading and delivering events. Called once.
  virtual void start(StreamHandler& handler) = 0;
  /// Queues the bytes; sends at once what the system takes. Order is kept. No bound of its own: ask
  /// unsent_bytes().
  virtual void write(Slices bytes) = 0;
  virtual std::size_t unsent_bytes() const = 0;
  /// While paused nothing is read: the peer feels it as TCP back-pressure.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  /// Sends what is queued, then closes; on_closed follows.
  virtual void close_after_flush() = 0;
  /// Drops what is queued; on_closed follows, never from inside this call.
  virtual void close() = 0;

  virtual const Endpoint& peer() const = 0;
  virtual const Endpoint& local() const = 0;
  virtual const std::optional<PeerCertificate>& peer_certificate() const = 0;
};

enum class ClientAuth { kNone, kRequested, kRequired };

/// TLS material read from PEM files and watched: reload() reads them again and keeps the old on any
/// error. Thread-safe: streams of all strands share one.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  /// Reads the files again if they changed. An unusable new set leaves the old in force and is
  /// returned as the error.
  virtual Result<bool> reload_if_changed() = 0;
};

struct TlsServerOptions {
  std::string certificate_chain_path;  // PEM, leaf first
  std::string private_key_path;        // PEM
  std::string client_ca_path;          // PEM bundle; needed unless client_auth is kNone
  ClientAuth client_auth = ClientAuth::kNone;
  std::vector<std::string> protocols{"TLSv1.2", "TLSv1.3"};
  std::vector<std::string> cipher_suites;  // empty: OpenSSL's defaults
};

struct TlsClientOptions {
  std::string ca_path;                 // PEM bundle; "" trusts the system's
  std::string certificate_chain_path;  // "" = no client certificate
  std::string private_key_path;
  bool verify_hostname = true;  // ssl.endpoint.identification.algorithm=https
};

/// A listening socket; closes when destroyed (accepted streams live on).
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  virtual const Endpoint& local() const = 0;  // with the real port when 0 was asked for
};

/// Makes streams. One per process; callable from any strand.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<std::shared_ptr<TlsContext>> make_server_tls(const TlsServerOptions& options) = 0;
  virtual Result<std::shared_ptr<TlsContext>> make_client_tls(const TlsClientOptions& options) = 0;

  using AcceptCallback = std::function<void(std::unique_ptr<Stream>)>;
  /// Listens on `endpoint` ("" or "0.0.0.0" = all addresses). `on_accept` runs on `strand`, before
  /// any handshake. Errors: kBrokerNotAvailable with the address and the reason (taken, not ours).
  virtual Result<std::unique_ptr<Acceptor>> listen(Strand& strand, const Endpoint& endpoint,
                                                   std::shared_ptr<TlsContext> tls,
                                                   AcceptCallback on_accept) = 0;
  /// Connects from `strand`; the stream is returned at once, on_open or on_closed tells how it
  /// went. `server_name`: for SNI and verification, defaults to the endpoint's host.
  virtual std::unique_ptr<Stream> connect(Strand& strand, const Endpoint& endpoint,
                                          std::shared_ptr<TlsContext> tls,
                                          const std::string& server_name = {}) = 0;
  /// Moves an accepted, not yet started stream to another loop, so that accepting can be spread
  /// over the cores.
  virtual void move_to(Strand& strand, std::unique_ptr<Stream> stream,
                       std::function<void(std::unique_ptr<Stream>)> on_moved) = 0;
};

}  // namespace broker::io
