#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "broker/storage/file_cache.h"

namespace broker::storage {

/// A file of entries of one size, appended to and searched. The newest entries wait in memory and
/// reach the file a page at a time, so an active segment needs neither a descriptor nor a mapping
/// for its indexes. Never larger than its entries: unlike Kafka's, it is not pre-sized.
class IndexFile {
 public:
  IndexFile(FileCache& files, std::string path, std::size_t entry_bytes)
      : files_(files), path_(std::move(path)), entry_bytes_(entry_bytes) {}

  /// Takes the number of entries from the file. Errors: kResourceNotFound when there is none;
  /// kCorruptMessage when its size is no multiple of an entry.
  Result<void> open();
  /// Begins with no entries, whatever the file holds; the file is there afterwards.
  Result<void> create();

  std::size_t count() const { return stored_ + tail_.size() / entry_bytes_; }
  std::size_t size_bytes() const { return count() * entry_bytes_; }
  Result<void> append(std::span<const std::uint8_t> entry);
  /// Fills `out` (one entry) with entry `i` < count().
  Result<void> read(std::size_t i, std::span<std::uint8_t> out) const;
  Result<void> truncate(std::size_t count);
  /// Writes what waits in memory.
  Result<void> spill();

  const std::string& path() const { return path_; }
  /// Number of leading entries for which `holds(entry)` is true, given that it is true for a prefix
  /// of them.
  template <class Predicate>
  Result<std::size_t> count_while(Predicate holds) const {
    std::size_t low = 0;
    std::size_t high = count();
    std::vector<std::uint8_t> entry(entry_bytes_);
    if (stored_ < high) {  // nearly all look-ups are near the end: try what is in memory first
      RETURN_IF_ERROR(read(stored_, entry));
      (holds(std::span<const std::uint8_t>(entry)) ? low : high) = stored_;
    }
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      RETURN_IF_ERROR(read(middle, entry));
      if (holds(std::span<const std::uint8_t>(entry))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

 private:
  static constexpr std::size_t kTailBytes = 3072;  // a multiple of both entry sizes

  FileCache& files_;
  const std::string path_;
  const std::size_t entry_bytes_;
  std::size_t stored_ = 0;  // entries in the file
  std::vector<std::uint8_t> tail_;
};

}  // namespace broker::storage
