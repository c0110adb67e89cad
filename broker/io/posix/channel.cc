#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "broker/io/posix/socket_stream.h"

namespace broker::io::posix {
namespace {

constexpr std::size_t kMaxWriteBytes = 1 << 20;  // per system call
constexpr std::size_t kMaxPieces = 64;
constexpr std::size_t kCopyBytes = 256 * 1024;  // where the system cannot send from a file
// The peer was promised bytes: only a new connection can say that they are not there.
constexpr const char* kSourceFailed = "what was to be sent can no longer be read";
constexpr std::size_t kTlsRecordBytes = 16 * 1024;
constexpr std::uint8_t kTlsHandshakeRecord = 22;
constexpr std::uint8_t kTlsAlertRecord = 21;

class PlainChannel final : public Channel {
 public:
  IoResult handshake(int) override { return {}; }

  IoResult read(int fd, std::span<std::uint8_t> out) override {
    const ssize_t n = ::recv(fd, out.data(), out.size(), 0);
    if (n > 0) return {IoStatus::kDone, static_cast<std::size_t>(n), {}};
    if (n == 0) return {IoStatus::kEnd, 0, {}};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantRead, 0, {}};
    return {IoStatus::kFailed, 0, system_reason(errno)};
  }

  IoResult write(int fd, const WriteQueue& queue) override {
    std::array<iovec, kMaxPieces> pieces;
    const std::size_t count = queue.gather(pieces, kMaxWriteBytes);
    if (count == 0) return send_stored(fd, queue.front());
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    // What follows may come out of a file: its first bytes belong into the same packet.
    const bool more = queue.is_stored(count);
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n >= 0) return {IoStatus::kDone, static_cast<std::size_t>(n), {}};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantWrite, 0, {}};
    return {IoStatus::kFailed, 0, system_reason(errno)};
  }

  void shut_down() override {}
  bool may_hold_bytes() const override { return false; }

 private:
  static IoResult send_stored(int fd, const Slice& bytes) {
    auto position = static_cast<off_t>(bytes.source_position());
    const ssize_t n = ::sendfile(fd, bytes.source()->descriptor(), &position,
                                 std::min(bytes.size(), kMaxWriteBytes));
    if (n > 0) return {IoStatus::kDone, static_cast<std::size_t>(n), {}};
    if (n == 0) return {IoStatus::kFailed, 0, kSourceFailed};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantWrite, 0, {}};
    // No file to send from, or one that cannot be read: then its owner is to hear of that.
    return send_copied(fd, bytes);
  }

  static IoResult send_copied(int fd, const Slice& bytes) {
    std::vector<std::uint8_t> copy(std::min(bytes.size(), kCopyBytes));
    if (!bytes.copy_to(copy)) return {IoStatus::kFailed, 0, kSourceFailed};
    const ssize_t n = ::send(fd, copy.data(), copy.size(), MSG_NOSIGNAL);
    if (n >= 0) return {IoStatus::kDone, static_cast<std::size_t>(n), {}};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantWrite, 0, {}};
    return {IoStatus::kFailed, 0, system_reason(errno)};
  }
};

class TlsChannel final : public Channel {
 public:
  TlsChannel(const PosixTlsContext& context, const std::string& server_name)
      : is_server_(context.is_server()),
        context_(context.current()),
        ssl_(SSL_new(context_.get()), SSL_free) {
    CHECK(ssl_ != nullptr);
    if (is_server_) {
      SSL_set_accept_state(ssl_.get());
      return;
    }
    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
    const bool is_address = [&] {
      const std::unique_ptr<ASN1_OCTET_STRING, void (*)(ASN1_OCTET_STRING*)> address(
          a2i_IPADDRESS(server_name.c_str()), ASN1_OCTET_STRING_free);
      ERR_clear_error();
      return address != nullptr;
    }();
    if (!is_address) SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str());
    if (!context.verify_hostname()) return;
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address)
      X509_VERIFY_PARAM_set1_ip_asc(verify, server_name.c_str());
    else
      X509_VERIFY_PARAM_set1_host(verify, server_name.c_str(), server_name.size());
  }

  IoResult handshake(int fd) override {
    if (!attached_) {
      // The first byte tells a peer that speaks something else better than OpenSSL's reason would.
      if (is_server_) {
        std::uint8_t first = 0;
        const ssize_t n = ::recv(fd, &first, 1, MSG_PEEK);
        if (n < 0 && errno == EAGAIN) return {IoStatus::kWantRead, 0, {}};
        if (n == 0) return {IoStatus::kEnd, 0, {}};  // a port check
        if (n == 1 && first != kTlsHandshakeRecord && first != kTlsAlertRecord)
          return {IoStatus::kFailed, 0, "peer sent plaintext on a TLS port"};
      }
      SSL_set_fd(ssl_.get(), fd);
      attached_ = true;
    }
    if (!is_server_ && !heard_peer_) {
      std::uint8_t first = 0;
      if (::recv(fd, &first, 1, MSG_PEEK) == 1) {
        heard_peer_ = true;
        if (first != kTlsHandshakeRecord && first != kTlsAlertRecord)
          return {IoStatus::kFailed, 0, "the peer does not speak TLS on this port"};
      }
    }
    ERR_clear_error();
    errno = 0;
    const int rc = SSL_do_handshake(ssl_.get());
    if (rc == 1) return {};
    IoResult result = outcome(rc);
    if (result.status == IoStatus::kEnd)
      return {IoStatus::kFailed, 0, "the peer closed the connection during the TLS handshake"};
    return result;
  }

  IoResult read(int, std::span<std::uint8_t> out) override {
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int rc = SSL_read_ex(ssl_.get(), out.data(), out.size(), &n);
    return rc == 1 ? IoResult{IoStatus::kDone, n, {}} : outcome(rc);
  }

  IoResult write(int, const WriteQueue& queue) override {
    // Small pieces share a record; large ones are encrypted where they lie. After a record that
    // the socket did not take, OpenSSL wants the same bytes again.
    const Slice front = queue.front();
    const bool direct = staged_.empty() && front.source() == nullptr &&
                        (retry_direct_ || queue.has_one_piece() || front.size() >= kTlsRecordBytes);
    if (!direct && staged_.empty()) {
      staged_.resize(std::min(kTlsRecordBytes, queue.size()));
      if (!queue.copy(staged_)) return {IoStatus::kFailed, 0, kSourceFailed};
    }
    const std::span<const std::uint8_t> bytes =
        direct ? front.span() : std::span<const std::uint8_t>(staged_);
    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int rc = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n);
    if (rc != 1) {
      retry_direct_ = direct;
      return outcome(rc);
    }
    retry_direct_ = false;
    // A staged record is at most one TLS record, so it goes whole.
    staged_.clear();
    return {IoStatus::kDone, n, {}};
  }

  void shut_down() override {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  bool may_hold_bytes() const override { return true; }
  std::optional<PeerCertificate> peer_certificate() const override {
    return peer_certificate_of(ssl_.get());
  }

 private:
  IoResult outcome(int rc) const {
    const int system_error = errno;
    switch (SSL_get_error(ssl_.get(), rc)) {
      case SSL_ERROR_WANT_READ:
        return {IoStatus::kWantRead, 0, {}};
      case SSL_ERROR_WANT_WRITE:
        return {IoStatus::kWantWrite, 0, {}};
      case SSL_ERROR_ZERO_RETURN:
        ERR_clear_error();
        return {IoStatus::kEnd, 0, {}};
      default:
        return {IoStatus::kFailed, 0, tls_failure(ssl_.get(), system_error)};
    }
  }

  const bool is_server_;
  const std::shared_ptr<SSL_CTX> context_;
  const std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool attached_ = false;
  bool heard_peer_ = false;
  bool retry_direct_ = false;
  std::vector<std::uint8_t> staged_;
};

}  // namespace

std::unique_ptr<Channel> make_plain_channel() { return std::make_unique<PlainChannel>(); }

std::unique_ptr<Channel> make_tls_channel(const PosixTlsContext& context,
                                          const std::string& server_name) {
  return std::make_unique<TlsChannel>(context, server_name);
}

}  // namespace broker::io::posix
