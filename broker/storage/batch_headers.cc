#include "broker/storage/batch_headers.h"

#include <algorithm>

namespace broker::storage {

Result<std::optional<record::BatchHeader>> BatchHeaders::peek() {
  const std::optional<record::BatchHeader> none;
  if (end_ - position_ < record::kBatchHeaderSize) return none;
  if (position_ + record::kBatchHeaderSize > window_position_ + window_bytes_) {
    const auto wanted = std::min<std::uint64_t>(kWindowBytes, end_ - position_);
    ASSIGN_OR_RETURN(window_bytes_, file_.read_at(position_, std::span(window_).first(wanted)));
    window_position_ = position_;
    if (window_bytes_ < record::kBatchHeaderSize) return none;
  }
  const record::BatchHeader header(
      std::span<const std::uint8_t>(window_).subspan(position_ - window_position_));
  constexpr auto kLeastLength =
      static_cast<std::int32_t>(record::kBatchHeaderSize - record::kLogOverhead);
  if (header.magic() != record::kMagic || header.batch_length() < kLeastLength ||
      header.size_bytes() > end_ - position_) {
    return none;
  }
  batch_bytes_ = header.size_bytes();
  return std::optional(header);
}

}  // namespace broker::storage
