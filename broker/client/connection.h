#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/io/transport.h"
#include "broker/protocol/api.h"
#include "broker/protocol/codec.h"

namespace broker::client {

struct SaslCredentials {
  std::string mechanism;  // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
  std::string username;
  std::string password;
};

struct ConnectionOptions {
  io::Endpoint endpoint;
  std::shared_ptr<io::TlsContext> tls;  // null: plaintext
  std::string server_name;              // for SNI and verification; empty: the endpoint's host
  std::optional<SaslCredentials> sasl;
  std::string client_id = "millrace";
  Duration connect_timeout = std::chrono::seconds(10);  // until versions and SASL are done too
  Duration request_timeout = std::chrono::seconds(30);
  std::size_t max_response_bytes = 100 << 20;
  std::size_t max_in_flight = 100;
};

/// One connection to one Kafka node: TCP or TLS, version negotiation (ApiVersions), SASL, then
/// pipelined requests. Calls made before it is ready wait for it. Lives on one strand; callbacks
/// run on it, never from inside call(). It never reconnects: whoever owns it decides where to go
/// next (see ReconnectingClient).
class Connection {
 public:
  Connection(io::Strand& strand, io::Transport& transport, ConnectionOptions options);
  /// Pending calls are dropped: no callback runs into a destroyed owner.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Sends `request` with the highest version both sides speak and hands over the decoded
  /// `Response`. Errors that leave open whether it was carried out: kNetworkException (lost after
  /// it was sent), kRequestTimedOut. Never sent: kBrokerNotAvailable (no connection, or not in
  /// time; the detail says why), kUnsupportedVersion (no common version),
  /// kSaslAuthenticationFailed, kThrottlingQuotaExceeded (max_in_flight reached). kCorruptMessage:
  /// an unreadable answer.
  template <class Request>
  void call(Request request, UniqueFunction<void(Result<typename Request::Response>)> done,
            std::optional<Duration> timeout = std::nullopt) {
    call_encoded(
        Request::kApiKey, {Request::kVersions.min, Request::kVersions.max},
        [request = std::move(request)](protocol::Writer& writer, std::int16_t version) {
          request.write(writer, version);
        },
        [done = std::move(done)](Result<Answer> answer) mutable {
          if (!answer.ok()) return done(answer.error());
          protocol::Reader reader(answer->body);
          typename Request::Response response;
          if (auto read = response.read(reader, answer->version); !read.ok()) {
            return done(Error{ErrorCode::kCorruptMessage, read.error().detail});
          }
          done(std::move(response));
        },
        timeout);
  }

  /// True from the end of the negotiation until the connection is lost.
  bool ready() const;
  /// Whether it ever became ready: a lost connection differs from one that never came about.
  bool was_ready() const;
  /// Called once, when the connection becomes ready. Set it before the strand's next turn.
  void on_ready(UniqueFunction<void()> callback);
  /// Ends the connection: pending calls and on_closed() are told, on a later turn.
  void close(std::string why);
  /// Called once when the connection ends, whoever ended it; not called by the destructor.
  void on_closed(UniqueFunction<void(const Error&)> callback);
  /// The versions the node advertised for `key`; nullopt if it does not offer it, or before
  /// ready().
  std::optional<protocol::VersionRange> node_versions(protocol::ApiKey key) const;

 private:
  struct Answer {
    std::int16_t version;
    Slice body;
  };
  using Encode = UniqueFunction<void(protocol::Writer&, std::int16_t)>;
  using Decode = UniqueFunction<void(Result<Answer>)>;
  void call_encoded(protocol::ApiKey key, protocol::VersionRange ours, Encode encode, Decode decode,
                    std::optional<Duration> timeout);

  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace broker::client
