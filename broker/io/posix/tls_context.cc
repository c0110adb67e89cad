#include "broker/io/posix/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "broker/io/posix/socket.h"

namespace broker::io::posix {
namespace {

Error bad_material(std::string detail) {
  return Error{ErrorCode::kInvalidConfig, std::move(detail)};
}

/// The first queued reason; the later ones only repeat it from the callers' side.
std::string first_openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown reason";
  const char* reason = ERR_reason_error_string(code);
  if (ERR_SYSTEM_ERROR(code)) return system_reason(ERR_GET_REASON(code));
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

std::string subject_of(const X509* certificate) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  // UTF-8 stays readable; everything else as RFC 2253 escapes it.
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Result<void> check_dates(const X509* certificate, const std::string& path) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
    return bad_material(path + ": the certificate of " + subject_of(certificate) + " has expired");
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
    return bad_material(path + ": the certificate of " + subject_of(certificate) +
                        " is not valid yet");
  return {};
}

/// Certificate and key, or nothing when both paths are empty.
Result<void> use_identity(SSL_CTX* context, const std::string& chain, const std::string& key) {
  if (chain.empty() && key.empty()) return {};
  if (SSL_CTX_use_certificate_chain_file(context, chain.c_str()) != 1)
    return bad_material("certificate chain " + chain + ": " + first_openssl_reason());
  RETURN_IF_ERROR(check_dates(SSL_CTX_get0_certificate(context), chain));
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const std::string reason = first_openssl_reason();
    return bad_material(reason == "key values mismatch"
                            ? "the private key " + key + " does not fit the certificate " + chain
                            : "private key " + key + ": " + reason);
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return bad_material("the private key " + key + " does not fit the certificate " + chain);
  }
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& path) {
  if (SSL_CTX_load_verify_file(context, path.c_str()) != 1)
    return bad_material("CA file " + path + ": " + first_openssl_reason());
  return {};
}

int version_number(const std::string& name) {
  if (name == "TLSv1.2") return TLS1_2_VERSION;
  if (name == "TLSv1.3") return TLS1_3_VERSION;
  return 0;
}

Result<void> use_protocols(SSL_CTX* context, const std::vector<std::string>& protocols) {
  int low = TLS1_3_VERSION, high = TLS1_2_VERSION;
  for (const std::string& name : protocols) {
    const int version = version_number(name);
    if (version == 0)
      return bad_material("TLS protocol \"" + name + "\" is not allowed: use TLSv1.2 or TLSv1.3");
    low = std::min(low, version);
    high = std::max(high, version);
  }
  if (protocols.empty()) return bad_material("no TLS protocol is enabled");
  SSL_CTX_set_min_proto_version(context, low);
  SSL_CTX_set_max_proto_version(context, high);
  return {};
}

/// Names of both kinds: TLS 1.3's are exactly these of OpenSSL, TLS 1.2's go by IANA or OpenSSL
/// name.
Result<void> use_ciphers(SSL_CTX* context, const std::vector<std::string>& suites) {
  if (suites.empty()) return {};
  std::string tls13, tls12;
  for (const std::string& suite : suites) {
    const bool is_13 = suite.starts_with("TLS_AES_") || suite.starts_with("TLS_CHACHA20_");
    std::string& list = is_13 ? tls13 : tls12;
    const char* name = is_13 ? nullptr : OPENSSL_cipher_name(suite.c_str());
    if (!list.empty()) list += ':';
    list += name != nullptr && std::string_view(name) != "(NONE)" ? name : suite.c_str();
  }
  if ((!tls13.empty() && SSL_CTX_set_ciphersuites(context, tls13.c_str()) != 1) ||
      (!tls12.empty() && SSL_CTX_set_cipher_list(context, tls12.c_str()) != 1)) {
    ERR_clear_error();
    return bad_material("no usable cipher suite in the configured list");
  }
  // A list without a suite of one version switches that version off.
  if (tls13.empty()) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
  if (tls12.empty()) SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  if (SSL_CTX_get_min_proto_version(context) > SSL_CTX_get_max_proto_version(context))
    return bad_material("the cipher suites fit none of the enabled TLS protocols");
  return {};
}

void use_common_settings(SSL_CTX* context) {
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // A frame has a length: a cut is noticed without close_notify. No resumption: a session resumed
  // after its certificate was withdrawn would be let in.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                   SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  // One recv for many records; the stream reads until OpenSSL wants more, never by readiness alone.
  SSL_CTX_set_read_ahead(context, 1);
}

Result<void> fill_server(SSL_CTX* context, const TlsServerOptions& options) {
  RETURN_IF_ERROR(use_protocols(context, options.protocols));
  RETURN_IF_ERROR(use_ciphers(context, options.cipher_suites));
  RETURN_IF_ERROR(use_identity(context, options.certificate_chain_path, options.private_key_path));
  if (SSL_CTX_get0_certificate(context) == nullptr)
    return bad_material("a TLS listener needs a certificate and a private key");
  if (options.client_auth == ClientAuth::kNone) return {};
  RETURN_IF_ERROR(trust(context, options.client_ca_path));
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca_path.c_str());
  if (names == nullptr)
    return bad_material("CA file " + options.client_ca_path + ": " + first_openssl_reason());
  SSL_CTX_set_client_CA_list(context, names);  // takes the list
  SSL_CTX_set_verify(
      context,
      SSL_VERIFY_PEER |
          (options.client_auth == ClientAuth::kRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
      nullptr);
  return {};
}

Result<void> fill_client(SSL_CTX* context, const TlsClientOptions& options) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  RETURN_IF_ERROR(use_identity(context, options.certificate_chain_path, options.private_key_path));
  if (!options.ca_path.empty()) {
    RETURN_IF_ERROR(trust(context, options.ca_path));
  } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
    return bad_material("cannot read the system's CA certificates: " + first_openssl_reason());
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return {};
}

std::string verify_failure(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate not valid yet";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "unknown CA";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the certificate does not name this host";
    default:
      return std::string("certificate refused: ") + X509_verify_cert_error_string(result);
  }
}

/// The alerts by which a peer says what it disliked about us; "" for any other reason.
std::string_view alert_of(int reason) {
  switch (reason) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the peer does not trust our certificate (unknown CA)";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "the peer says our certificate expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return "the peer refused our certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the peer requires a client certificate";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return "the peer refused the handshake (no common cipher, or a client certificate is "
             "required)";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      return "the peer does not support our TLS versions";
    default:
      return {};
  }
}

}  // namespace

Result<std::shared_ptr<PosixTlsContext>> PosixTlsContext::make(const TlsServerOptions& options) {
  std::shared_ptr<PosixTlsContext> made(new PosixTlsContext(options, std::nullopt));
  if (auto changed = made->reload_if_changed(); !changed) return changed.error();
  return made;
}

Result<std::shared_ptr<PosixTlsContext>> PosixTlsContext::make(const TlsClientOptions& options) {
  std::shared_ptr<PosixTlsContext> made(new PosixTlsContext(std::nullopt, options));
  if (auto changed = made->reload_if_changed(); !changed) return changed.error();
  return made;
}

std::string PosixTlsContext::stamp() const {
  const std::vector<std::string> paths =
      server_ ? std::vector<std::string>{server_->certificate_chain_path, server_->private_key_path,
                                         server_->client_ca_path}
              : std::vector<std::string>{client_->ca_path, client_->certificate_chain_path,
                                         client_->private_key_path};
  std::string text;
  for (const std::string& path : paths) {
    struct stat info {};
    if (!path.empty() && ::stat(path.c_str(), &info) == 0)
      text += std::to_string(info.st_ino) + "/" + std::to_string(info.st_size) + "/" +
              std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
    text += ";";
  }
  return text;
}

Result<std::shared_ptr<SSL_CTX>> PosixTlsContext::build() const {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(server_ ? TLS_server_method() : TLS_client_method()),
                                   SSL_CTX_free);
  CHECK(context != nullptr);
  use_common_settings(context.get());
  RETURN_IF_ERROR(server_ ? fill_server(context.get(), *server_)
                          : fill_client(context.get(), *client_));
  return context;
}

Result<bool> PosixTlsContext::reload_if_changed() {
  const std::lock_guard lock(mutex_);
  // The stamp is taken before reading: a file replaced meanwhile is read again next time.
  std::string now = stamp();
  if (current_ != nullptr && now == stamp_) return false;
  stamp_ = std::move(now);
  ASSIGN_OR_RETURN(current_, build());
  return true;
}

std::shared_ptr<SSL_CTX> PosixTlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::string tls_failure(const SSL* ssl, int system_error) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) {
    if (system_error != 0) return system_reason(system_error);
    return "the peer closed the connection";
  }
  const int reason = ERR_GET_REASON(code);
  if (const auto alert = alert_of(reason); !alert.empty()) return std::string(alert);
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return verify_failure(SSL_get_verify_result(ssl));
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "no client certificate";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return "the peer closed the connection";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return "no TLS version in common";
    case SSL_R_NO_SHARED_CIPHER:
      return "no cipher suite in common";
    default: {
      const char* text = ERR_reason_error_string(code);
      return text != nullptr ? text : "TLS error " + std::to_string(code);
    }
  }
}

std::optional<PeerCertificate> peer_certificate_of(const SSL* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr) return std::nullopt;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), digest, &size);
  PeerCertificate peer{subject_of(certificate), {}};
  constexpr char kHex[] = "0123456789abcdef";
  for (unsigned int i = 0; i < size; ++i) {
    peer.fingerprint_sha256 += kHex[digest[i] >> 4];
    peer.fingerprint_sha256 += kHex[digest[i] & 15];
  }
  return peer;
}

}  // namespace broker::io::posix
