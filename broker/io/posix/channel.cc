#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "broker/io/posix/socket_stream.h"

namespace broker::io::posix {
namespace {

constexpr std::size_t kMaxWriteBytes = 1 << 20;  // per system call
constexpr std::size_t kMaxPieces = 64;
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
    const ssize_t n = ::writev(fd, pieces.data(), static_cast<int>(count));
    if (n >= 0) return {IoStatus::kDone, static_cast<std::size_t>(n), {}};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantWrite, 0, {}};
    return {IoStatus::kFailed, 0, system_reason(errno)};
  }

  void shut_down() override {}
  bool may_hold_bytes() const override { return false; }
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
    const bool direct = staged_.empty() && (retry_direct_ || queue.has_one_piece() ||
                                            queue.front().size() >= kTlsRecordBytes);
    if (!direct && staged_.empty()) stage(queue);
    const std::span<const std::uint8_t> bytes =
        direct ? queue.front() : std::span<const std::uint8_t>(staged_);
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
  void stage(const WriteQueue& queue) {
    std::array<iovec, kMaxPieces> pieces;
    const std::size_t count = queue.gather(pieces, kTlsRecordBytes);
    for (std::size_t i = 0; i < count; ++i) {
      const auto* bytes = static_cast<const std::uint8_t*>(pieces[i].iov_base);
      staged_.insert(staged_.end(), bytes, bytes + pieces[i].iov_len);
    }
  }

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
