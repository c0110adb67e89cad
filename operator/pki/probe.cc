#include "operator/pki/probe.h"

#include <netdb.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "operator/pki/openssl.h"

namespace op::pki {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using detail::CertPtr;
using detail::KeyPtr;
using detail::openssl_error;

namespace {

using ContextPtr = std::unique_ptr<SSL_CTX, detail::Deleter<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, detail::Deleter<SSL_free>>;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Error network_error(const std::string& what) { return {ErrorCode::kNetworkException, what}; }

/// Linux bounds connect() by the send timeout too.
void bound(int fd, std::chrono::milliseconds timeout) {
  timeval limit{};
  limit.tv_sec = timeout.count() / 1000;
  limit.tv_usec = (timeout.count() % 1000) * 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Result<std::unique_ptr<Socket>> connect_to(const std::string& host, std::uint16_t port,
                                           std::chrono::milliseconds timeout) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
      failed != 0)
    return network_error(host + ": " + gai_strerror(failed));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> found(list, freeaddrinfo);
  int reason = 0;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    auto socket = std::make_unique<Socket>(
        ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    if (socket->fd() < 0) continue;
    bound(socket->fd(), timeout);
    if (::connect(socket->fd(), one->ai_addr, one->ai_addrlen) == 0) return socket;
    reason = errno;
  }
  return network_error(host + ":" + std::to_string(port) + ": " + std::strerror(reason));
}

struct Identity {
  CertPtr certificate;
  KeyPtr key;
};

/// What the callbacks of one handshake know.
struct Handshake {
  std::vector<Identity> identities;
  const Identity* shown = nullptr;
  std::vector<std::string> asked_for;
};

int choose_identity(SSL* ssl, X509** certificate, EVP_PKEY** key) {
  auto* handshake = static_cast<Handshake*>(SSL_get_app_data(ssl));
  const STACK_OF(X509_NAME)* names = SSL_get0_peer_CA_list(ssl);
  for (int i = 0; names != nullptr && i < sk_X509_NAME_num(names); ++i)
    handshake->asked_for.push_back(detail::name_text(sk_X509_NAME_value(names, i)));
  for (const Identity& identity : handshake->identities) {
    const X509_NAME* issuer = X509_get_issuer_name(identity.certificate.get());
    for (int i = 0; names != nullptr && i < sk_X509_NAME_num(names); ++i) {
      if (X509_NAME_cmp(issuer, sk_X509_NAME_value(names, i)) != 0) continue;
      handshake->shown = &identity;
      X509_up_ref(identity.certificate.get());  // both are the caller's
      EVP_PKEY_up_ref(identity.key.get());
      *certificate = identity.certificate.get();
      *key = identity.key.get();
      return 1;
    }
  }
  return 0;
}

Result<ContextPtr> make_context(const ProbeOptions& options) {
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return openssl_error("TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_client_cert_cb(context.get(), choose_identity);
  ASSIGN_OR_RETURN(const std::vector<std::string> trusted, split_bundle(options.trusted_pem));
  X509_STORE* store = SSL_CTX_get_cert_store(context.get());
  for (const std::string& pem : trusted) {
    ASSIGN_OR_RETURN(const CertPtr certificate, detail::read_cert(pem));
    X509_STORE_add_cert(store, certificate.get());
  }
  return context;
}

std::string failure(const SSL* ssl, int system_error) {
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    ERR_clear_error();
    return X509_verify_cert_error_string(verdict);
  }
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (const char* reason = code ? ERR_reason_error_string(code) : nullptr) return reason;
  return system_error != 0 ? std::strerror(system_error) : "the connection was closed";
}

/// A server that does not like our certificate says so instead of answering.
Result<void> ask_versions(SSL* ssl) {
  static constexpr std::array<std::uint8_t, 16> kApiVersionsV0{0, 0, 0, 12, 0, 18, 0,   0,
                                                               0, 0, 0, 1,  0, 2,  'o', 'p'};
  char answer = 0;
  if (SSL_write(ssl, kApiVersionsV0.data(), kApiVersionsV0.size()) <= 0 ||
      SSL_read(ssl, &answer, 1) <= 0) {
    const int reason = errno;
    return network_error(failure(ssl, reason));
  }
  return {};
}

}  // namespace

Result<ServedTls> probe(const std::string& host, std::uint16_t port, const ProbeOptions& options) {
  ERR_clear_error();
  Handshake handshake;
  for (const KeyPair& pair : options.identities) {
    ASSIGN_OR_RETURN(CertPtr certificate, detail::read_cert(pair.certificate_pem));
    ASSIGN_OR_RETURN(KeyPtr key, detail::read_key(pair.key_pem));
    handshake.identities.push_back({std::move(certificate), std::move(key)});
  }
  ASSIGN_OR_RETURN(const ContextPtr context, make_context(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Socket> socket, connect_to(host, port, options.timeout));
  const SslPtr ssl(SSL_new(context.get()));
  SSL_set_app_data(ssl.get(), &handshake);
  SSL_set_fd(ssl.get(), socket->fd());
  if (SSL_connect(ssl.get()) != 1) {
    const int reason = errno;
    return network_error(failure(ssl.get(), reason));
  }
  ServedTls out;
  const detail::BioPtr leaf(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(leaf.get(), SSL_get0_peer_certificate(ssl.get()));
  ASSIGN_OR_RETURN(out.leaf, read_certificate(detail::written(leaf.get())));
  out.asked_for = std::move(handshake.asked_for);
  if (handshake.shown != nullptr) {
    RETURN_IF_ERROR(ask_versions(ssl.get()));
    const detail::BioPtr shown(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(shown.get(), handshake.shown->certificate.get());
    ASSIGN_OR_RETURN(const CertificateFacts facts, read_certificate(detail::written(shown.get())));
    out.accepted_issuer_key_id = facts.issuer_key_id;
  }
  SSL_shutdown(ssl.get());
  return out;
}

}  // namespace op::pki
