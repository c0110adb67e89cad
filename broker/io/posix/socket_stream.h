#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/socket.h"
#include "broker/io/posix/tls_context.h"
#include "broker/io/posix/transport.h"
#include "broker/io/posix/write_queue.h"
#include "broker/io/transport.h"

namespace broker::io::posix {

/// What one attempt to move bytes came to.
enum class IoStatus { kDone, kWantRead, kWantWrite, kEnd, kFailed };
struct IoResult {
  IoStatus status = IoStatus::kDone;
  std::size_t bytes = 0;
  std::string reason;  // kFailed
};

/// How bytes travel over a connected, non-blocking socket: as they are, or inside TLS.
class Channel {
 public:
  virtual ~Channel() = default;
  /// kDone when the peers may talk.
  virtual IoResult handshake(int fd) = 0;
  virtual IoResult read(int fd, std::span<std::uint8_t> out) = 0;
  /// Sends the head of the queue; the caller consumes `bytes` of it.
  virtual IoResult write(int fd, const WriteQueue& queue) = 0;
  /// Says goodbye as far as that goes without waiting.
  virtual void shut_down() = 0;
  /// After kWantRead nothing is left above the socket: readiness tells when to go on. Otherwise the
  /// caller must ask again by itself.
  virtual bool may_hold_bytes() const = 0;
  virtual std::optional<PeerCertificate> peer_certificate() const { return std::nullopt; }
};

std::unique_ptr<Channel> make_plain_channel();
/// `server_name`: what a client expects the peer to be; "" on the server's side.
std::unique_ptr<Channel> make_tls_channel(const PosixTlsContext& context,
                                          const std::string& server_name);

/// A stream over a socket: accepted, or connecting to the addresses of a name in their order.
class SocketStream final : public Stream, private FdHandler {
 public:
  /// Accepted.
  SocketStream(EventLoop& loop, const TransportOptions& options, UniqueFd fd, Endpoint peer,
               std::shared_ptr<PosixTlsContext> tls);
  /// To be connected by start().
  SocketStream(EventLoop& loop, const TransportOptions& options, Resolver& resolver, Endpoint peer,
               std::shared_ptr<PosixTlsContext> tls, std::string server_name);
  ~SocketStream() override;

  void start(StreamHandler& handler) override;
  void write(Slices bytes) override;
  std::size_t unsent_bytes() const override { return queue_.size(); }
  void pause_reading() override;
  void resume_reading() override;
  void close_after_flush() override;
  void close() override;
  const Endpoint& peer() const override { return peer_; }
  const Endpoint& local() const override { return local_; }
  const std::optional<PeerCertificate>& peer_certificate() const override {
    return peer_certificate_;
  }

  /// Before start().
  void move_to(EventLoop& loop);

 private:
  enum class Phase { kNew, kResolving, kConnecting, kHandshake, kOpen, kClosing, kClosed };

  void on_events(std::uint32_t epoll_events) override;
  void post_to_self(void (SocketStream::*step)());

  void begin();
  void look_up();
  void connect_next();
  void connect_failed(std::string reason);
  void forget_address();
  void on_connectable();
  void begin_handshake();
  void step_handshake();
  void on_handshake_timeout();

  void read_some();
  void continue_reading();
  bool flush();  // false when the stream failed
  void on_writable();
  void finish_flush();

  void watch();
  void unwatch();
  void start_timer(std::chrono::milliseconds delay, void (SocketStream::*step)());
  void stop_timer();
  void fail_later(Error reason);
  void finish();

  EventLoop* loop_;
  const TransportOptions options_;
  Resolver* resolver_ = nullptr;  // connecting streams
  Endpoint peer_;
  Endpoint local_;
  std::shared_ptr<PosixTlsContext> tls_;
  const std::string server_name_;

  // Owned by the loop.
  UniqueFd fd_;
  StreamHandler* handler_ = nullptr;
  std::unique_ptr<Channel> channel_;
  std::optional<PeerCertificate> peer_certificate_;
  Phase phase_ = Phase::kNew;
  Error close_reason_{ErrorCode::kNone, {}};
  std::vector<SocketAddress> addresses_;  // still to try
  bool by_its_word_ = false;              // at an address that no name server was asked for
  std::string last_failure_;
  TimerId timer_ = kNoTimer;
  WriteQueue queue_;
  std::uint32_t watched_ = 0;
  bool registered_ = false;
  bool reading_ = true;
  bool write_blocked_ = false;
  bool read_wants_write_ = false;
  bool handshake_wants_write_ = false;
  bool flush_then_close_ = false;
  bool read_posted_ = false;
  // Tells posted tasks and the stack that the stream is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::io::posix
