#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "broker/common/slice.h"
#include "broker/io/file.h"

namespace broker::storage {

class DirectoryHealth;

/// A segment's file in the hands of who sends parts of it. The handle keeps the bytes readable
/// whatever becomes of the segment: deleted, compacted, or truncated, see Segment::truncate_to(). A
/// read that fails takes the log directory offline, as one through the log does.
class LentFile final : public ByteSource {
 public:
  using Count = std::shared_ptr<std::atomic<std::size_t>>;

  /// `health` may be gone meanwhile; `count` is one higher as long as this object lives.
  LentFile(std::shared_ptr<const io::File> file, std::weak_ptr<DirectoryHealth> health,
           Count count);
  ~LentFile() override;
  LentFile(const LentFile&) = delete;
  LentFile& operator=(const LentFile&) = delete;

  int descriptor() const override { return file_->descriptor(); }
  bool read_exactly(std::uint64_t position, std::span<std::uint8_t> out) const override;

 private:
  const std::shared_ptr<const io::File> file_;
  const std::weak_ptr<DirectoryHealth> health_;
  const Count count_;
};

}  // namespace broker::storage
