#include "operator/provider/small_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace op::provider {
namespace {

broker::Error failed(const std::string& path) {
  const auto code = errno == ENOENT ? broker::ErrorCode::kResourceNotFound
                                    : broker::ErrorCode::kKafkaStorageError;
  return {code, path + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

broker::Result<std::string> read_small_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return failed(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

namespace {

enum class Sync { kYes, kNo };

broker::Result<void> replace(const std::string& path, std::string_view content, Sync sync) {
  const auto slash = path.rfind('/');
  const std::string temporary = path.substr(0, slash + 1) + "." + path.substr(slash + 1) + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed(temporary);
  const bool written = write_all(fd, content) && (sync == Sync::kNo || fdatasync(fd) == 0);
  if (close(fd) != 0 || !written) return failed(temporary);
  if (rename(temporary.c_str(), path.c_str()) != 0) return failed(path);
  return {};
}

}  // namespace

broker::Result<void> replace_small_file(const std::string& path, std::string_view content) {
  return replace(path, content, Sync::kYes);
}

broker::Result<void> show_small_file(const std::string& path, std::string_view content) {
  return replace(path, content, Sync::kNo);
}

broker::Result<bool> update_small_file(const std::string& path, std::string_view content) {
  if (const auto old = read_small_file(path); old.ok() && *old == content) return false;
  RETURN_IF_ERROR(replace_small_file(path, content));
  return true;
}

broker::Result<void> make_private_directory(const std::string& path) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return failed(part);
    if (at == std::string::npos) return {};
  }
}

}  // namespace op::provider
