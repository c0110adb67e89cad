#include "operator/kafka/tls_material.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace op::kafka {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

/// A text under a path that only this process can open: the port wants paths, and the operator
/// runs on a read-only root.
class MemoryFile {
 public:
  MemoryFile() = default;
  ~MemoryFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  Result<void> fill(const char* name, const std::string& text) {
    if (text.empty() && fd_ < 0) return {};
    if (fd_ < 0) fd_ = ::memfd_create(name, MFD_CLOEXEC);
    if (fd_ < 0 || ::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) != 0) return failure(name);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t n = ::write(fd_, text.data() + at, text.size() - at);
      if (n < 0 && errno != EINTR) return failure(name);
      if (n > 0) at += static_cast<std::size_t>(n);
    }
    return {};
  }
  /// "" without a text.
  std::string path() const { return fd_ < 0 ? "" : "/proc/self/fd/" + std::to_string(fd_); }

 private:
  static Error failure(const char* name) {
    return {ErrorCode::kInvalidConfig,
            std::string("no memory file for ") + name + ": " + std::strerror(errno)};
  }
  int fd_ = -1;
};

namespace {

/// Paths mean nothing to a reader of the message.
std::string with_names(std::string text, const std::string& path, const std::string& name) {
  if (path.empty()) return text;
  for (auto at = text.find(path); at != std::string::npos; at = text.find(path)) {
    text.replace(at, path.size(), "(" + name + ")");
  }
  return text;
}

}  // namespace

struct TlsMaterial::Files {
  MemoryFile ca, certificate, key;

  Result<void> fill(const ConnectionSpec& spec) {
    RETURN_IF_ERROR(ca.fill("ca", spec.ca_pem));
    RETURN_IF_ERROR(certificate.fill("certificate", spec.certificate_pem));
    return key.fill("key", spec.private_key_pem);
  }
  Error with_names(const Error& error) const {
    std::string detail = kafka::with_names(error.detail, ca.path(), "CA certificates");
    detail = kafka::with_names(std::move(detail), certificate.path(), "client certificate");
    return {error.code, kafka::with_names(std::move(detail), key.path(), "client key")};
  }
};

TlsMaterial::TlsMaterial() : files_(std::make_unique<Files>()) {}
TlsMaterial::~TlsMaterial() = default;

Result<std::unique_ptr<TlsMaterial>> TlsMaterial::make(broker::io::Transport& transport,
                                                       const ConnectionSpec& spec) {
  std::unique_ptr<TlsMaterial> made(new TlsMaterial());
  Files& files = *made->files_;
  RETURN_IF_ERROR(files.fill(spec));
  auto tls = transport.make_client_tls({.ca_path = files.ca.path(),
                                        .certificate_chain_path = files.certificate.path(),
                                        .private_key_path = files.key.path(),
                                        .verify_hostname = spec.verify_hostname});
  if (!tls.ok()) return files.with_names(tls.error());
  made->context_ = std::move(*tls);
  return made;
}

Result<std::shared_ptr<broker::io::TlsContext>> make_tls(broker::io::Transport& transport,
                                                         const ConnectionSpec& spec) {
  ASSIGN_OR_RETURN(const auto made, TlsMaterial::make(transport, spec));
  return made->context();
}

Result<void> TlsMaterial::renew(const ConnectionSpec& spec) {
  RETURN_IF_ERROR(files_->fill(spec));
  const auto reloaded = context_->reload_if_changed();
  if (!reloaded.ok()) return files_->with_names(reloaded.error());
  return {};
}

}  // namespace op::kafka
