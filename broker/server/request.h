#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "broker/common/function.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/protocol/frame.h"
#include "broker/security/sasl.h"
#include "broker/security/types.h"

namespace broker::server {

using security::CredentialStore;
using security::SecurityProtocol;

/// Who a request comes from. Immutable: a step of the connection (authentication, ApiVersions)
/// makes a new one.
struct Session {
  std::string listener;
  SecurityProtocol protocol = SecurityProtocol::kPlaintext;
  security::Principal principal;  // User:ANONYMOUS until proven otherwise
  bool authenticated = false;     // true on listeners that ask for nothing
  bool by_token = false;          // a delegation token was the proof
  bool forwarded = false;         // another broker brings its request, and has authenticated it
  io::Endpoint peer, local;       // peer.host is what ACL hosts are compared with
  std::string client_software_name, client_software_version;  // "" until ApiVersions v3+
};

/// What is to happen when a connection ends, whoever ends it: one task, the last one set. On the
/// connection's strand.
class ConnectionEnd {
 public:
  void set(Task task) { task_ = std::move(task); }
  void run() {
    if (task_) std::exchange(task_, nullptr)();
  }

 private:
  Task task_;
};

class RequestMeter;
struct QuotaShares;

/// One request, undecoded. `body` shares the receive buffer.
struct Request {
  std::shared_ptr<const Session> session;
  protocol::RequestHeader header;
  Slice body;
  std::size_t bytes = 0;  // of the whole frame, without its size
  Instant received{};
  io::Strand* strand = nullptr;  // the connection's
  std::shared_ptr<ConnectionEnd> connection_end;
  std::shared_ptr<QuotaShares> quota_shares;  // of the connection, on its strand; may be null
  std::shared_ptr<RequestMeter> meter;        // null: no quota on the time of requests
};

/// What becomes of a request.
struct Reply {
  enum class Kind { kSend, kNothing, kClose };
  Kind kind = Kind::kClose;
  Slices framed;       // kSend: size, response header and body
  std::string reason;  // kClose: for the log
  /// The client is above a quota: nothing more is read from it for so long (KIP-219). The answer
  /// itself leaves at once.
  std::chrono::milliseconds mute{0};
};

/// The one answer to one request: move-only, used exactly once, from any strand. The connection
/// keeps the order of answers whatever the order of calls. If it is dropped unused the connection
/// closes.
class Responder {
 public:
  Responder() = default;
  explicit Responder(UniqueFunction<void(Reply)> deliver) : deliver_(std::move(deliver)) {}
  ~Responder();
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;

  void send(Slices framed, std::chrono::milliseconds mute = std::chrono::milliseconds(0));
  /// Produce with acks=0.
  void send_nothing(std::chrono::milliseconds mute = std::chrono::milliseconds(0));
  void close_connection(std::string reason);
  explicit operator bool() const { return static_cast<bool>(deliver_); }

 private:
  void deliver(Reply reply);
  UniqueFunction<void(Reply)> deliver_;
};

/// Takes the requests of authenticated connections, and ApiVersions of any.
class RequestSink {
 public:
  virtual ~RequestSink() = default;
  /// Whether `listener` serves this version; otherwise the connection is closed. Any strand.
  virtual bool accepts(const std::string& listener, std::int16_t api_key,
                       std::int16_t version) const = 0;
  /// On the connection's strand, in the order in which they arrived.
  virtual void on_request(Request request, Responder responder) = 0;
};

}  // namespace broker::server
