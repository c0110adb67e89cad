#include "broker/storage/file_cache.h"

namespace broker::storage {

Result<std::shared_ptr<io::File>> FileCache::open(const std::string& path) {
  return open(path, io::OpenMode::kReadWrite);
}

Result<std::shared_ptr<io::File>> FileCache::open_or_create(const std::string& path) {
  return open(path, io::OpenMode::kCreate);
}

Result<std::shared_ptr<io::File>> FileCache::open(const std::string& path, io::OpenMode mode) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = by_path_.find(path); it != by_path_.end()) {
      entries_.splice(entries_.begin(), entries_, it->second);
      return it->second->file;
    }
  }
  ASSIGN_OR_RETURN(auto file, fs_.open(path, mode));
  return insert(path, std::move(file), false);
}

void FileCache::put(const std::string& path, std::shared_ptr<io::File> file) {
  insert(path, std::move(file), true);
}

std::shared_ptr<io::File> FileCache::insert(const std::string& path, std::shared_ptr<io::File> file,
                                            bool replace) {
  Entries evicted;  // closed after the lock is released
  const std::lock_guard lock(mutex_);
  if (const auto it = by_path_.find(path); it != by_path_.end()) {
    // Another strand was faster: one handle per file is enough.
    if (replace) std::swap(it->second->file, file);
    return it->second->file;
  }
  entries_.push_front({path, file});
  by_path_[path] = entries_.begin();
  while (entries_.size() > capacity_) {
    by_path_.erase(entries_.back().path);
    evicted.splice(evicted.begin(), entries_, std::prev(entries_.end()));
  }
  return file;
}

void FileCache::forget(const std::string& path) {
  Entries dropped;
  const std::lock_guard lock(mutex_);
  const auto it = by_path_.find(path);
  if (it == by_path_.end()) return;
  dropped.splice(dropped.begin(), entries_, it->second);
  by_path_.erase(it);
}

std::shared_ptr<const ByteSource> FileCache::lend(std::shared_ptr<const io::File> file,
                                                  std::weak_ptr<DirectoryHealth> health) const {
  if (lent_->load(std::memory_order_relaxed) >= capacity_) return nullptr;
  return std::make_shared<LentFile>(std::move(file), std::move(health), lent_);
}

std::size_t FileCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace broker::storage
