#include "broker/storage/batch_scanner.h"

#include <algorithm>

namespace broker::storage {
namespace {

constexpr std::size_t kScanBytes = 1 << 20;
constexpr std::size_t kMagicEnd = 17;

}  // namespace

Result<Slice> BatchScanner::window(std::size_t bytes) {
  bytes = std::min<std::uint64_t>(bytes, end_ - position_);
  const std::size_t skip = position_ - chunk_position_;
  if (skip <= chunk_.size() && chunk_.size() - skip >= bytes) {
    return chunk_.sub(skip, chunk_.size() - skip);
  }
  ReadBuffer buffer(
      std::max<std::size_t>(bytes, std::min<std::uint64_t>(kScanBytes, end_ - position_)));
  ASSIGN_OR_RETURN(const std::size_t n, file_.read_at(position_, buffer.span()));
  chunk_ = buffer.slice(0, n);
  chunk_position_ = position_;
  return chunk_;
}

Result<std::optional<record::Batch>> BatchScanner::next() {
  const std::optional<record::Batch> none;
  if (end_ - position_ < kMagicEnd) return none;
  ASSIGN_OR_RETURN(Slice bytes, window(record::kBatchHeaderSize));
  if (bytes.size() < kMagicEnd) return none;
  const auto length = load_be<std::int32_t>(bytes.data() + 8);
  const auto magic = load_be<std::int8_t>(bytes.data() + 16);
  if (length <= 0) return none;
  const std::size_t size = static_cast<std::size_t>(length) + record::kLogOverhead;
  if (size > end_ - position_) return none;
  ASSIGN_OR_RETURN(bytes, window(size));
  if (bytes.size() < size) return none;
  bytes = bytes.sub(0, size);
  if (magic != record::kMagic || size < record::kBatchHeaderSize) {
    if (!record::is_legacy_message(bytes.span())) return none;
    return Error{
        ErrorCode::kUnsupportedForMessageFormat,
        "messages of magic " + std::to_string(magic) + " (before Kafka 0.11) are not supported"};
  }
  position_ += size;
  return std::optional<record::Batch>(record::Batch{std::move(bytes)});
}

}  // namespace broker::storage
