#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/io/transport.h"

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace broker::io::posix {

/// The material of one side. Streams take the SSL_CTX that is current when they open; a reload
/// never touches open streams.
class PosixTlsContext final : public TlsContext {
 public:
  static Result<std::shared_ptr<PosixTlsContext>> make(const TlsServerOptions& options);
  static Result<std::shared_ptr<PosixTlsContext>> make(const TlsClientOptions& options);

  Result<bool> reload_if_changed() override;

  std::shared_ptr<SSL_CTX> current() const;
  bool is_server() const { return server_.has_value(); }
  bool verify_hostname() const { return client_ && client_->verify_hostname; }

 private:
  PosixTlsContext(std::optional<TlsServerOptions> server, std::optional<TlsClientOptions> client)
      : server_(std::move(server)), client_(std::move(client)) {}
  /// When, which inode and how large each file is: a changed stamp means a changed file.
  std::string stamp() const;
  Result<std::shared_ptr<SSL_CTX>> build() const;

  const std::optional<TlsServerOptions> server_;
  const std::optional<TlsClientOptions> client_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> current_;  // guarded by mutex_
  std::string stamp_;                 // guarded by mutex_; of the last attempt, good or bad
};

/// Why the last call on `ssl` failed, for a person; takes the thread's OpenSSL error queue.
/// `system_error`: errno of that call.
std::string tls_failure(const SSL* ssl, int system_error);
std::optional<PeerCertificate> peer_certificate_of(const SSL* ssl);

}  // namespace broker::io::posix
