#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/storage/lent_file.h"

namespace broker::storage {

/// Open handles of files that are used now and then (inactive segments, indexes), least recently
/// used closed first: ten thousand partitions with a week of segments must not need a descriptor
/// each. One per process, shared by the logs of all strands, hence the mutex; it is never held
/// across a system call.
class FileCache {
 public:
  /// `capacity` handles are kept; more are open only while callers use them.
  FileCache(io::FileSystem& fs, std::size_t capacity) : fs_(fs), capacity_(capacity) {}

  /// The handle of an existing file, for reading and writing. Valid as long as the caller keeps it,
  /// whatever the cache does. Errors: as FileSystem::open.
  Result<std::shared_ptr<io::File>> open(const std::string& path);
  /// As open(), creating the file if it is missing.
  Result<std::shared_ptr<io::File>> open_or_create(const std::string& path);
  /// Takes over a handle that its owner has stopped using all the time.
  void put(const std::string& path, std::shared_ptr<io::File> file);
  /// Drops the handle: the path is about to be renamed, removed or written anew.
  void forget(const std::string& path);

  /// `file` for somebody who may keep it for long: a peer that takes what it asked for slowly.
  /// nullptr while as many are out as the cache may hold: descriptors end one day.
  std::shared_ptr<const ByteSource> lend(std::shared_ptr<const io::File> file,
                                         std::weak_ptr<DirectoryHealth> health) const;

  std::size_t size() const;
  io::FileSystem& file_system() { return fs_; }

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<io::File> file;
  };
  using Entries = std::list<Entry>;

  Result<std::shared_ptr<io::File>> open(const std::string& path, io::OpenMode mode);
  std::shared_ptr<io::File> insert(const std::string& path, std::shared_ptr<io::File> file,
                                   bool replace);

  io::FileSystem& fs_;
  const std::size_t capacity_;
  const LentFile::Count lent_ = std::make_shared<std::atomic<std::size_t>>(0);
  mutable std::mutex mutex_;
  Entries entries_;  // most recently used first
  std::unordered_map<std::string, Entries::iterator> by_path_;
};

}  // namespace broker::storage
