#include "broker/storage/offset_index.h"

#include <array>

#include "broker/common/endian.h"

namespace broker::storage {
namespace {

OffsetPosition decode_offset_entry(std::span<const std::uint8_t> entry, Offset base) {
  return {base + load_be<std::int32_t>(entry.data()), load_be<std::uint32_t>(entry.data() + 4)};
}

}  // namespace

Result<void> OffsetIndex::open() {
  RETURN_IF_ERROR(file_.open());
  ASSIGN_OR_RETURN(const auto tail, last());
  if (tail && tail->offset < base_offset_) {
    return Error{ErrorCode::kCorruptMessage, file_.path() + " ends before its segment begins"};
  }
  return {};
}

Result<void> OffsetIndex::append(Offset offset, std::uint32_t position) {
  ASSIGN_OR_RETURN(const auto tail, last());
  if (tail && offset <= tail->offset) return {};
  std::array<std::uint8_t, kEntryBytes> entry;
  store_be<std::int32_t>(entry.data(), static_cast<std::int32_t>(offset - base_offset_));
  store_be<std::uint32_t>(entry.data() + 4, position);
  return file_.append(entry);
}

Result<OffsetPosition> OffsetIndex::lookup(Offset target) const {
  ASSIGN_OR_RETURN(const std::size_t n, file_.count_while([&](std::span<const std::uint8_t> e) {
    return decode_offset_entry(e, base_offset_).offset <= target;
  }));
  return n == 0 ? Result(OffsetPosition{base_offset_, 0}) : entry(n - 1);
}

Result<OffsetPosition> OffsetIndex::last_before(Offset max_exclusive,
                                                std::uint32_t max_position) const {
  ASSIGN_OR_RETURN(const std::size_t n, file_.count_while([&](std::span<const std::uint8_t> e) {
    const OffsetPosition entry = decode_offset_entry(e, base_offset_);
    return entry.offset < max_exclusive && entry.position < max_position;
  }));
  return n == 0 ? Result(OffsetPosition{base_offset_, 0}) : entry(n - 1);
}

Result<std::optional<OffsetPosition>> OffsetIndex::last() const {
  if (count() == 0) return std::optional<OffsetPosition>{};
  ASSIGN_OR_RETURN(const OffsetPosition tail, entry(count() - 1));
  return std::optional<OffsetPosition>(tail);
}

Result<void> OffsetIndex::truncate_to(Offset offset) {
  ASSIGN_OR_RETURN(const std::size_t n, file_.count_while([&](std::span<const std::uint8_t> e) {
    return decode_offset_entry(e, base_offset_).offset < offset;
  }));
  return file_.truncate(n);
}

Result<OffsetPosition> OffsetIndex::entry(std::size_t i) const {
  std::array<std::uint8_t, kEntryBytes> entry;
  RETURN_IF_ERROR(file_.read(i, entry));
  return decode_offset_entry(entry, base_offset_);
}

}  // namespace broker::storage
