#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"

namespace broker::io {

/// An open file. Calls block. Errors: kKafkaStorageError with the path and the system's reason.
/// One writer at a time; `read_at` may run beside it from any thread.
class File {
 public:
  virtual ~File() = default;
  /// Reads up to out.size() bytes at `position`; fewer only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t position,
                                      std::span<std::uint8_t> out) const = 0;
  virtual Result<void> write_at(std::uint64_t position, std::span<const std::uint8_t> bytes) = 0;
  /// Gathers; writes everything or fails (what was written then is unspecified: truncate before
  /// going on).
  virtual Result<void> write_at(std::uint64_t position, const Slices& pieces) = 0;
  /// After a failed sync the file's unsynced content is lost for good: never retry, take the log
  /// offline.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() const = 0;
  /// What the system can send from without a copy; -1 where there is no such thing.
  virtual int descriptor() const { return -1; }
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // created if missing, read and write
  kCreateNew,  // must not exist
};

struct FileInfo {
  std::uint64_t size = 0;
  WallMs modified = 0;
  bool is_directory = false;
};

/// The disk. Paths are absolute. Errors: kKafkaStorageError; kResourceNotFound where a path does
/// not exist.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<FileInfo> stat(const std::string& path) = 0;
  /// Names in the directory, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  virtual Result<void> create_directories(const std::string& path) = 0;
  /// Atomic, replaces the target. Durable after sync_directory of the parent.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(const std::string& path) = 0;
  virtual Result<void> remove_recursively(const std::string& path) = 0;
  virtual Result<void> sync_directory(const std::string& path) = 0;
  /// Holds `path` locked (flock) until the result is destroyed. Errors: kKafkaStorageError when
  /// another process has it.
  virtual Result<std::unique_ptr<File>> lock(const std::string& path) = 0;

  bool exists(const std::string& path) { return stat(path).ok(); }
};

/// Reads a whole file of at most `max_bytes`. Errors: as FileSystem; kKafkaStorageError when it is
/// larger.
Result<std::string> read_file(FileSystem& fs, const std::string& path,
                              std::size_t max_bytes = 64 << 20);
/// Writes `<path>.tmp`, syncs it, renames it over `path`, syncs the directory: after a crash the
/// old or the new content is there.
Result<void> write_file_atomically(FileSystem& fs, const std::string& path,
                                   std::string_view content);

}  // namespace broker::io
