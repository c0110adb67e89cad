#pragma once

#include <optional>
#include <string>

#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/storage/index_file.h"

namespace broker::storage {

struct TimePosition {
  WallMs timestamp = -1;
  Offset offset;  // last offset of the batch that holds it

  bool operator==(const TimePosition&) const = default;
};

/// .timeindex: "the largest timestamp so far, and the batch it is in". Entries of 12 bytes: int64
/// timestamp, int32 relative offset. Timestamps strictly increase.
class TimeIndex {
 public:
  static constexpr std::size_t kEntryBytes = 12;
  TimeIndex(FileCache& files, std::string path, Offset base_offset)
      : file_(files, std::move(path), kEntryBytes), base_offset_(base_offset) {}

  /// Errors: as IndexFile::open; kCorruptMessage when the last entry cannot be.
  Result<void> open();
  Result<void> create() { return file_.create(); }
  /// A timestamp that is not above the last entry's is ignored.
  Result<void> append(WallMs timestamp, Offset offset);
  /// The entry with the largest timestamp that is not above `target`; (-1, base offset) without.
  Result<TimePosition> lookup(WallMs target) const;
  Result<std::optional<TimePosition>> last() const;
  /// Drops entries at or above `offset`.
  Result<void> truncate_to(Offset offset);
  Result<void> spill() { return file_.spill(); }
  std::size_t size_bytes() const { return file_.size_bytes(); }
  std::size_t count() const { return file_.count(); }
  Result<TimePosition> entry(std::size_t i) const;

 private:
  IndexFile file_;
  Offset base_offset_;
};

}  // namespace broker::storage
