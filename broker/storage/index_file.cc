#include "broker/storage/index_file.h"

#include <algorithm>

#include "broker/io/no_space.h"

namespace broker::storage {

Result<void> IndexFile::open() {
  ASSIGN_OR_RETURN(const auto file, files_.open(path_));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  if (size % entry_bytes_ != 0) {
    return Error{ErrorCode::kCorruptMessage,
                 path_ + " has " + std::to_string(size) + " bytes, no multiple of an entry"};
  }
  stored_ = size / entry_bytes_;
  tail_.clear();
  return {};
}

Result<void> IndexFile::create() {
  ASSIGN_OR_RETURN(const auto file, files_.open_or_create(path_));
  RETURN_IF_ERROR(file->truncate(0));
  stored_ = 0;
  tail_.clear();
  return {};
}

Result<void> IndexFile::append(std::span<const std::uint8_t> entry) {
  tail_.insert(tail_.end(), entry.begin(), entry.end());
  if (tail_.size() < kTailBytes) return {};
  const auto spilled = spill();
  // On a full disk the entries wait in memory; soon nothing is appended that would bring more.
  return spilled.ok() || io::is_no_space(spilled.error()) ? Result<void>{} : spilled;
}

Result<void> IndexFile::read(std::size_t i, std::span<std::uint8_t> out) const {
  CHECK_LT(i, count());
  if (i >= stored_) {
    std::copy_n(tail_.begin() + static_cast<std::ptrdiff_t>((i - stored_) * entry_bytes_),
                entry_bytes_, out.begin());
    return {};
  }
  ASSIGN_OR_RETURN(const auto file, files_.open(path_));
  ASSIGN_OR_RETURN(const std::size_t n, file->read_at(i * entry_bytes_, out.first(entry_bytes_)));
  if (n != entry_bytes_) return Error{ErrorCode::kKafkaStorageError, path_ + " became shorter"};
  return {};
}

Result<void> IndexFile::truncate(std::size_t count) {
  if (count >= this->count()) return {};
  if (count >= stored_) {
    tail_.resize((count - stored_) * entry_bytes_);
    return {};
  }
  ASSIGN_OR_RETURN(const auto file, files_.open(path_));
  RETURN_IF_ERROR(file->truncate(count * entry_bytes_));
  stored_ = count;
  tail_.clear();
  return {};
}

Result<void> IndexFile::spill() {
  if (tail_.empty()) return {};
  ASSIGN_OR_RETURN(const auto file, files_.open(path_));
  RETURN_IF_ERROR(file->write_at(stored_ * entry_bytes_, tail_));
  stored_ += tail_.size() / entry_bytes_;
  tail_.clear();
  tail_.shrink_to_fit();  // thousands of logs are idle at any time
  return {};
}

}  // namespace broker::storage
