#pragma once

#include <optional>
#include <string>

#include "broker/common/ids.h"
#include "broker/storage/index_file.h"

namespace broker::storage {

struct OffsetPosition {
  Offset offset;               // last offset of a batch
  std::uint32_t position = 0;  // of that batch's first byte in the .log file

  bool operator==(const OffsetPosition&) const = default;
};

/// .index: for some batches of a segment, where they lie. Entries of 8 bytes: int32 last offset
/// relative to the segment's base, int32 position. Strictly increasing.
class OffsetIndex {
 public:
  static constexpr std::size_t kEntryBytes = 8;
  OffsetIndex(FileCache& files, std::string path, Offset base_offset)
      : file_(files, std::move(path), kEntryBytes), base_offset_(base_offset) {}

  /// Errors: as IndexFile::open; kCorruptMessage when the last entry cannot be.
  Result<void> open();
  Result<void> create() { return file_.create(); }
  /// An offset that is not above the last entry's is ignored.
  Result<void> append(Offset offset, std::uint32_t position);
  /// The entry with the largest offset that is not above `target`; (base offset, 0) without one.
  Result<OffsetPosition> lookup(Offset target) const;
  /// The last entry whose offset is below `max_exclusive` and whose batch begins below
  /// `max_position`; (base offset, 0) without one.
  Result<OffsetPosition> last_before(Offset max_exclusive, std::uint32_t max_position) const;
  Result<std::optional<OffsetPosition>> last() const;
  /// Drops entries at or above `offset`.
  Result<void> truncate_to(Offset offset);
  Result<void> spill() { return file_.spill(); }
  std::size_t size_bytes() const { return file_.size_bytes(); }
  std::size_t count() const { return file_.count(); }
  Result<OffsetPosition> entry(std::size_t i) const;

 private:
  IndexFile file_;
  Offset base_offset_;
};

}  // namespace broker::storage
