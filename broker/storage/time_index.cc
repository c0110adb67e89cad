#include "broker/storage/time_index.h"

#include <array>

#include "broker/common/endian.h"

namespace broker::storage {
namespace {

TimePosition decode_time_entry(std::span<const std::uint8_t> entry, Offset base) {
  return {load_be<std::int64_t>(entry.data()), base + load_be<std::int32_t>(entry.data() + 8)};
}

}  // namespace

Result<void> TimeIndex::open() {
  RETURN_IF_ERROR(file_.open());
  ASSIGN_OR_RETURN(const auto tail, last());
  if (tail && (tail->offset < base_offset_ || tail->timestamp < 0)) {
    return Error{ErrorCode::kCorruptMessage, file_.path() + " ends with an impossible entry"};
  }
  return {};
}

Result<void> TimeIndex::append(WallMs timestamp, Offset offset) {
  if (timestamp < 0) return {};
  ASSIGN_OR_RETURN(const auto tail, last());
  if (tail && timestamp <= tail->timestamp) return {};
  std::array<std::uint8_t, kEntryBytes> entry;
  store_be<std::int64_t>(entry.data(), timestamp);
  store_be<std::int32_t>(entry.data() + 8, static_cast<std::int32_t>(offset - base_offset_));
  return file_.append(entry);
}

Result<TimePosition> TimeIndex::lookup(WallMs target) const {
  ASSIGN_OR_RETURN(const std::size_t n, file_.count_while([&](std::span<const std::uint8_t> e) {
    return decode_time_entry(e, base_offset_).timestamp <= target;
  }));
  return n == 0 ? Result(TimePosition{-1, base_offset_}) : entry(n - 1);
}

Result<std::optional<TimePosition>> TimeIndex::last() const {
  if (count() == 0) return std::optional<TimePosition>{};
  ASSIGN_OR_RETURN(const TimePosition tail, entry(count() - 1));
  return std::optional<TimePosition>(tail);
}

Result<void> TimeIndex::truncate_to(Offset offset) {
  // Timestamps and offsets rise together, so the entries to keep are a prefix.
  ASSIGN_OR_RETURN(const std::size_t n, file_.count_while([&](std::span<const std::uint8_t> e) {
    return decode_time_entry(e, base_offset_).offset < offset;
  }));
  return file_.truncate(n);
}

Result<TimePosition> TimeIndex::entry(std::size_t i) const {
  std::array<std::uint8_t, kEntryBytes> entry;
  RETURN_IF_ERROR(file_.read(i, entry));
  return decode_time_entry(entry, base_offset_);
}

}  // namespace broker::storage
