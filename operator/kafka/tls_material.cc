#include "operator/kafka/tls_material.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace op::kafka {
namespace {

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
    if (text.empty()) return {};
    fd_ = ::memfd_create(name, MFD_CLOEXEC);
    if (fd_ < 0) return failure(name);
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

/// Paths mean nothing to a reader of the message.
std::string with_names(std::string text, const std::string& path, const std::string& name) {
  if (path.empty()) return text;
  for (auto at = text.find(path); at != std::string::npos; at = text.find(path)) {
    text.replace(at, path.size(), "(" + name + ")");
  }
  return text;
}

}  // namespace

Result<std::shared_ptr<broker::io::TlsContext>> make_tls(broker::io::Transport& transport,
                                                         const ConnectionSpec& spec) {
  MemoryFile ca, certificate, key;
  RETURN_IF_ERROR(ca.fill("ca", spec.ca_pem));
  RETURN_IF_ERROR(certificate.fill("certificate", spec.certificate_pem));
  RETURN_IF_ERROR(key.fill("key", spec.private_key_pem));
  // Read once, here: a changed certificate is another ConnectionSpec.
  auto tls = transport.make_client_tls({.ca_path = ca.path(),
                                        .certificate_chain_path = certificate.path(),
                                        .private_key_path = key.path(),
                                        .verify_hostname = spec.verify_hostname});
  if (tls.ok()) return tls;
  std::string detail = with_names(tls.error().detail, ca.path(), "CA certificates");
  detail = with_names(std::move(detail), certificate.path(), "client certificate");
  return Error{tls.error().code, with_names(std::move(detail), key.path(), "client key")};
}

}  // namespace op::kafka
