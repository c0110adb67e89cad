#include "broker/io/posix/posix_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "broker/io/no_space.h"

namespace broker::io::posix {
namespace {

Error system_error(const char* what, const std::string& path, int error) {
  const ErrorCode code =
      error == ENOENT ? ErrorCode::kResourceNotFound : ErrorCode::kKafkaStorageError;
  std::string reason = std::strerror(error);
  if (error == ENOSPC) reason = kNoSpaceLeft;
  if (error == EDQUOT) reason += ": " + std::string(kNoSpaceLeft);
  return Error{code, std::string(what) + " " + path + ": " + reason};
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;
  ~PosixFile() override { ::close(fd_); }

  int descriptor() const override { return fd_; }

  Result<std::size_t> read_at(std::uint64_t position, std::span<std::uint8_t> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n =
          ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(position + done));
      if (n > 0) {
        done += static_cast<std::size_t>(n);
      } else if (n == 0) {
        break;
      } else if (errno != EINTR) {
        return system_error("read", path_, errno);
      }
    }
    return done;
  }

  Result<void> write_at(std::uint64_t position, std::span<const std::uint8_t> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::pwrite(fd_, bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(position + done));
      if (n >= 0) {
        done += static_cast<std::size_t>(n);
      } else if (errno != EINTR) {
        return system_error("write", path_, errno);
      }
    }
    return {};
  }

  Result<void> write_at(std::uint64_t position, const Slices& pieces) override {
    constexpr std::size_t kMaxPieces = 64;  // per call; far below IOV_MAX, and small on the stack
    std::array<iovec, kMaxPieces> iov;
    std::size_t next = 0;     // first piece not yet written whole
    std::size_t skipped = 0;  // bytes of it that are
    while (next < pieces.size()) {
      int count = 0;
      for (std::size_t i = next; i < pieces.size() && count < static_cast<int>(kMaxPieces); ++i) {
        const std::size_t skip = i == next ? skipped : 0;
        iov[count++] = {const_cast<std::uint8_t*>(pieces[i].data()) + skip,
                        pieces[i].size() - skip};
      }
      const ssize_t n = ::pwritev(fd_, iov.data(), count, static_cast<off_t>(position));
      if (n < 0) {
        if (errno == EINTR) continue;
        return system_error("write", path_, errno);
      }
      position += static_cast<std::uint64_t>(n);
      skipped += static_cast<std::size_t>(n);
      while (next < pieces.size() && skipped >= pieces[next].size()) {
        skipped -= pieces[next++].size();
      }
    }
    return {};
  }

  Result<void> sync() override {
    // Not repeated after EIO: the kernel may have dropped the dirty pages already.
    while (::fdatasync(fd_) != 0) {
      if (errno != EINTR) return system_error("sync", path_, errno);
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    while (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return system_error("truncate", path_, errno);
    }
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return system_error("stat", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  const int fd_;
  const std::string path_;
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

Result<std::unique_ptr<PosixFile>> open_file(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return system_error("open", path, errno);
  return std::make_unique<PosixFile>(fd, path);
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(auto file, open_file(path, open_flags(mode)));
    return std::unique_ptr<File>(std::move(file));
  }

  Result<FileInfo> stat(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return system_error("stat", path, errno);
    return FileInfo{.size = static_cast<std::uint64_t>(info.st_size),
                    .modified = static_cast<WallMs>(info.st_mtim.tv_sec) * 1000 +
                                info.st_mtim.tv_nsec / 1000000,
                    .is_directory = S_ISDIR(info.st_mode)};
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
    if (!dir) return system_error("list", directory, errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return system_error("list", directory, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> create_directories(const std::string& path) override {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (::mkdir(prefix.c_str(), 0755) != 0 && errno != EEXIST) {
        return system_error("create directory", prefix, errno);
      }
      if (end == std::string::npos) break;
    }
    ASSIGN_OR_RETURN(const FileInfo info, stat(path));
    if (!info.is_directory) return system_error("create directory", path, ENOTDIR);
    return {};
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename", from, errno);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return system_error("remove", path, errno);
    return {};
  }

  Result<void> remove_recursively(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return system_error("remove", path, errno);
    if (S_ISDIR(info.st_mode)) {
      ASSIGN_OR_RETURN(const auto names, list(path));
      for (const std::string& name : names) RETURN_IF_ERROR(remove_recursively(path + "/" + name));
    }
    return remove(path);
  }

  Result<void> sync_directory(const std::string& path) override {
    ASSIGN_OR_RETURN(const auto dir, open_file(path, O_RDONLY | O_DIRECTORY));
    while (::fsync(dir->descriptor()) != 0) {
      if (errno != EINTR) return system_error("sync", path, errno);
    }
    return {};
  }

  Result<std::unique_ptr<File>> lock(const std::string& path) override {
    ASSIGN_OR_RETURN(auto file, open_file(path, O_RDWR | O_CREAT));
    if (::flock(file->descriptor(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return Error{ErrorCode::kKafkaStorageError, path + " is locked by another process"};
      }
      return system_error("lock", path, errno);
    }
    return std::unique_ptr<File>(std::move(file));
  }
};

}  // namespace

std::unique_ptr<io::FileSystem> make_posix_file_system() {
  return std::make_unique<PosixFileSystem>();
}

}  // namespace broker::io::posix
