#include "broker/io/posix/socket_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace broker::io::posix {
namespace {

constexpr std::size_t kDiscardBytes = 256 * 1024;
/// A machine that is gone does not refuse. Longer than a connect within one network takes, and
/// short beside the patience of those who wait: the name is still to be looked up.
constexpr std::chrono::milliseconds kKnownAddressTimeout{400};

}  // namespace

SocketStream::SocketStream(EventLoop& loop, const TransportOptions& options, UniqueFd fd,
                           Endpoint peer, std::shared_ptr<PosixTlsContext> tls)
    : loop_(&loop),
      options_(options),
      peer_(std::move(peer)),
      local_(local_endpoint(fd.get())),
      tls_(std::move(tls)),
      fd_(std::move(fd)) {}

SocketStream::SocketStream(EventLoop& loop, const TransportOptions& options, Resolver& resolver,
                           Endpoint peer, std::shared_ptr<PosixTlsContext> tls,
                           std::string server_name)
    : loop_(&loop),
      options_(options),
      resolver_(&resolver),
      peer_(std::move(peer)),
      tls_(std::move(tls)),
      server_name_(server_name.empty() ? peer_.host : std::move(server_name)) {}

SocketStream::~SocketStream() {
  *alive_ = false;
  stop_timer();
  unwatch();
  if (channel_ != nullptr && phase_ == Phase::kOpen) channel_->shut_down();
}

void SocketStream::move_to(EventLoop& loop) {
  CHECK(phase_ == Phase::kNew);
  loop_ = &loop;
}

void SocketStream::post_to_self(void (SocketStream::*step)()) {
  loop_->post([this, step, alive = alive_] {
    if (*alive) (this->*step)();
  });
}

// ---- opening

void SocketStream::start(StreamHandler& handler) {
  loop_->check_current();
  CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (phase_ == Phase::kNew) post_to_self(&SocketStream::begin);
}

void SocketStream::begin() {
  if (phase_ != Phase::kNew) return;
  if (resolver_ == nullptr) return begin_handshake();
  const std::string address = options_.addresses ? options_.addresses->find(peer_.host) : "";
  if (address.empty()) return look_up();
  auto known = resolve({address, peer_.port}, true);
  if (!known) return look_up();
  addresses_ = std::move(*known);
  by_its_word_ = true;
  connect_next();
}

void SocketStream::look_up() {
  phase_ = Phase::kResolving;
  resolver_->resolve(*loop_, peer_,
                     [this, alive = alive_](Result<std::vector<SocketAddress>> found) {
                       if (!*alive || phase_ != Phase::kResolving) return;
                       if (!found) return fail_later(found.error());
                       addresses_ = std::move(*found);
                       connect_next();
                     });
}

void SocketStream::connect_next() {
  stop_timer();
  unwatch();
  fd_.reset();
  while (!addresses_.empty()) {
    const SocketAddress address = addresses_.front();
    addresses_.erase(addresses_.begin());
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
      last_failure_ = system_reason(errno);
      continue;
    }
    tune(fd.get());
    if (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) {
      last_failure_ = system_reason(errno);
      continue;
    }
    fd_ = std::move(fd);
    phase_ = Phase::kConnecting;
    start_timer(by_its_word_ ? std::min(kKnownAddressTimeout, options_.connect_timeout)
                             : options_.connect_timeout,
                &SocketStream::on_handshake_timeout);
    watch();
    return;
  }
  if (by_its_word_) {
    forget_address();
    return look_up();
  }
  fail_later(
      {ErrorCode::kNetworkException, "cannot connect to " + to_string(peer_) + ": " +
                                         (last_failure_.empty() ? "no address" : last_failure_)});
}

/// Somebody else may be there by now: whatever fails before the stream is open counts.
void SocketStream::forget_address() {
  if (std::exchange(by_its_word_, false)) options_.addresses->set(peer_.host, "");
}

void SocketStream::connect_failed(std::string reason) {
  last_failure_ = std::move(reason);
  connect_next();
}

void SocketStream::on_connectable() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return connect_failed(system_reason(error));
  stop_timer();
  local_ = local_endpoint(fd_.get());
  begin_handshake();
}

void SocketStream::begin_handshake() {
  phase_ = Phase::kHandshake;
  channel_ = tls_ ? make_tls_channel(*tls_, server_name_) : make_plain_channel();
  if (tls_) start_timer(options_.handshake_timeout, &SocketStream::on_handshake_timeout);
  step_handshake();
}

void SocketStream::on_handshake_timeout() {
  timer_ = kNoTimer;
  if (phase_ == Phase::kConnecting) return connect_failed("timed out");
  forget_address();
  fail_later({ErrorCode::kNetworkException,
              "TLS handshake with " + to_string(peer_) + ": not finished in time"});
}

void SocketStream::step_handshake() {
  IoResult result = channel_->handshake(fd_.get());
  switch (result.status) {
    case IoStatus::kWantRead:
    case IoStatus::kWantWrite:
      handshake_wants_write_ = result.status == IoStatus::kWantWrite;
      return watch();
    case IoStatus::kEnd:
      forget_address();
      return fail_later({ErrorCode::kNone, "closed by the peer before the TLS handshake"});
    case IoStatus::kFailed:
      forget_address();
      return fail_later({ErrorCode::kNetworkException,
                         "TLS handshake with " + to_string(peer_) + ": " + result.reason});
    case IoStatus::kDone:
      break;
  }
  stop_timer();
  handshake_wants_write_ = false;
  peer_certificate_ = channel_->peer_certificate();
  phase_ = Phase::kOpen;
  const auto alive = alive_;
  handler_->on_open();
  if (!*alive || phase_ != Phase::kOpen) return;
  flush();
  if (!*alive || phase_ != Phase::kOpen) return;
  watch();
  // With read-ahead the first request may already be inside OpenSSL.
  if (tls_) continue_reading();
}

// ---- moving bytes

void SocketStream::on_events(std::uint32_t events) {
  if (phase_ == Phase::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) on_connectable();
    return;
  }
  if (phase_ == Phase::kHandshake) return step_handshake();
  if (phase_ != Phase::kOpen) return;
  const auto alive = alive_;
  if ((events & EPOLLOUT) != 0) {
    if (read_wants_write_) {
      read_wants_write_ = false;
      post_to_self(&SocketStream::continue_reading);
    }
    on_writable();
    if (!*alive || phase_ != Phase::kOpen) return;
  }
  if ((events & EPOLLIN) != 0 && reading_) return read_some();
  // While paused only a dead connection shows here; waiting for it in epoll would spin.
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    fail_later({ErrorCode::kNetworkException, system_reason(error != 0 ? error : ECONNRESET)});
  }
}

void SocketStream::read_some() {
  const auto alive = alive_;
  std::size_t budget = options_.read_budget_bytes;
  while (reading_ && phase_ == Phase::kOpen) {
    if (budget == 0) {
      // The others' turn. The kernel reports a plain socket again; bytes inside OpenSSL it cannot
      // see.
      if (channel_->may_hold_bytes() && !read_posted_) {
        read_posted_ = true;
        post_to_self(&SocketStream::continue_reading);
      }
      return;
    }
    const std::span<std::uint8_t> buffer = handler_->read_buffer();
    if (!*alive || !reading_ || phase_ != Phase::kOpen) return;
    CHECK(!buffer.empty());
    IoResult result = channel_->read(fd_.get(), buffer);
    switch (result.status) {
      case IoStatus::kDone:
        budget -= std::min(budget, result.bytes);
        handler_->on_read(result.bytes);
        if (!*alive) return;
        if (result.bytes < buffer.size() && !channel_->may_hold_bytes()) return;
        continue;
      case IoStatus::kWantRead:
        return;
      case IoStatus::kWantWrite:
        read_wants_write_ = true;
        return watch();
      case IoStatus::kEnd:
        return fail_later({ErrorCode::kNone, "closed by the peer"});
      case IoStatus::kFailed:
        return fail_later({ErrorCode::kNetworkException, std::move(result.reason)});
    }
  }
}

void SocketStream::continue_reading() {
  read_posted_ = false;
  if (phase_ == Phase::kOpen && reading_ && handler_ != nullptr) read_some();
}

void SocketStream::pause_reading() {
  if (!reading_) return;
  reading_ = false;
  if (phase_ == Phase::kOpen) watch();
}

void SocketStream::resume_reading() {
  if (reading_ || flush_then_close_) return;
  reading_ = true;
  if (phase_ != Phase::kOpen) return;
  watch();
  if (channel_->may_hold_bytes() && !read_posted_) {
    read_posted_ = true;
    post_to_self(&SocketStream::continue_reading);
  }
}

void SocketStream::write(Slices bytes) {
  if (phase_ >= Phase::kClosing || flush_then_close_) return;
  queue_.push(std::move(bytes));
  if (phase_ == Phase::kOpen && !write_blocked_) flush();
}

bool SocketStream::flush() {
  while (!queue_.empty()) {
    IoResult result = channel_->write(fd_.get(), queue_);
    switch (result.status) {
      case IoStatus::kDone:
        queue_.consume(result.bytes);
        continue;
      case IoStatus::kWantRead:  // TLS 1.2 renegotiation is off; a key update answers by itself
      case IoStatus::kWantWrite:
        write_blocked_ = true;
        watch();
        return true;
      case IoStatus::kEnd:
        fail_later({ErrorCode::kNone, "closed by the peer"});
        return false;
      case IoStatus::kFailed:
        fail_later({ErrorCode::kNetworkException, std::move(result.reason)});
        return false;
    }
  }
  return true;
}

void SocketStream::on_writable() {
  if (!write_blocked_) return watch();
  write_blocked_ = false;
  if (!flush() || write_blocked_) return;
  watch();
  if (flush_then_close_) return finish_flush();
  handler_->on_drained();
}

// ---- closing

void SocketStream::close_after_flush() {
  if (phase_ >= Phase::kClosing || flush_then_close_) return;
  if (phase_ != Phase::kOpen) return close();
  flush_then_close_ = true;
  reading_ = false;
  if (queue_.empty()) return finish_flush();
  watch();
}

void SocketStream::finish_flush() {
  channel_->shut_down();
  ::shutdown(fd_.get(), SHUT_WR);
  // Unread bytes would turn our close into a reset, and the reset could overtake our last answer.
  std::array<std::uint8_t, 16 * 1024> sink;
  for (std::size_t seen = 0; seen < kDiscardBytes; seen += sink.size())
    if (::recv(fd_.get(), sink.data(), sink.size(), 0) <= 0) break;
  fail_later({ErrorCode::kNone, {}});
}

void SocketStream::close() {
  if (phase_ >= Phase::kClosing) return;
  if (phase_ == Phase::kOpen && channel_ != nullptr) channel_->shut_down();
  fail_later({ErrorCode::kNone, {}});
}

void SocketStream::fail_later(Error reason) {
  if (phase_ >= Phase::kClosing) return;
  phase_ = Phase::kClosing;
  close_reason_ = std::move(reason);
  stop_timer();
  unwatch();
  fd_.reset();
  queue_.clear();
  post_to_self(&SocketStream::finish);
}

void SocketStream::finish() {
  phase_ = Phase::kClosed;
  if (handler_ != nullptr) handler_->on_closed(close_reason_);
}

// ---- the loop

void SocketStream::watch() {
  std::uint32_t wanted = 0;
  if (phase_ == Phase::kConnecting)
    wanted = EPOLLOUT;
  else if (phase_ == Phase::kHandshake)
    wanted = handshake_wants_write_ ? EPOLLOUT : EPOLLIN;
  else if (phase_ == Phase::kOpen)
    wanted = (reading_ ? EPOLLIN : 0u) | (write_blocked_ || read_wants_write_ ? EPOLLOUT : 0u);
  if (!registered_) {
    registered_ = true;
    loop_->add_fd(fd_.get(), wanted, *this);
  } else if (wanted != watched_) {
    loop_->modify_fd(fd_.get(), wanted, *this);
  }
  watched_ = wanted;
}

void SocketStream::unwatch() {
  if (!registered_) return;
  registered_ = false;
  loop_->remove_fd(fd_.get(), *this);
}

void SocketStream::start_timer(std::chrono::milliseconds delay, void (SocketStream::*step)()) {
  stop_timer();
  timer_ = loop_->call_after(delay, [this, step] { (this->*step)(); });
}

void SocketStream::stop_timer() {
  if (timer_ != kNoTimer) loop_->cancel(std::exchange(timer_, kNoTimer));
}

}  // namespace broker::io::posix
