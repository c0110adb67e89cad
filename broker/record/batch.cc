#include "broker/record/batch.h"

#include <libdeflate.h>

#include "broker/common/crc32c.h"

namespace broker::record {
namespace {

constexpr std::size_t kMagicOffset = 16;  // the same in all three formats
// Behind the 12 bytes of overhead: crc, magic, attributes, key and value lengths of magic 0.
constexpr std::size_t kMinLegacyLength = 14;

Error corrupt(std::string detail) { return {ErrorCode::kCorruptMessage, std::move(detail)}; }

}  // namespace

void set_base_offset(std::span<std::uint8_t> header, Offset offset) {
  store_be<std::int64_t>(header.data(), offset.value);
}
void set_batch_length(std::span<std::uint8_t> header, std::int32_t length) {
  store_be<std::int32_t>(header.data() + 8, length);
}
void set_leader_epoch(std::span<std::uint8_t> header, LeaderEpoch epoch) {
  store_be<std::int32_t>(header.data() + 12, epoch.value);
}
void set_attributes(std::span<std::uint8_t> header, std::int16_t attributes) {
  store_be<std::int16_t>(header.data() + 21, attributes);
}
void set_max_timestamp(std::span<std::uint8_t> header, WallMs timestamp) {
  store_be<std::int64_t>(header.data() + 35, timestamp);
}

void update_crc(std::span<std::uint8_t> header, std::span<const std::uint8_t> records) {
  CHECK(header.size() >= kBatchHeaderSize);
  const std::uint32_t crc = crc32c_extend(crc32c(std::span<const std::uint8_t>(header).subspan(
                                              kCrcStart, kBatchHeaderSize - kCrcStart)),
                                          records);
  store_be<std::uint32_t>(header.data() + 17, crc);
}

Result<void> check_batch(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kBatchHeaderSize) {
    if (is_legacy_message(bytes)) return ErrorCode::kUnsupportedForMessageFormat;
    return corrupt("a record batch of " + std::to_string(bytes.size()) + " bytes is too short");
  }
  const BatchHeader header(bytes);
  if (header.magic() == 0 || header.magic() == 1) {
    return Error{ErrorCode::kUnsupportedForMessageFormat,
                 "messages of magic " + std::to_string(header.magic()) + " are not supported"};
  }
  if (header.magic() != kMagic) {
    return Error{ErrorCode::kInvalidRecord, "unknown magic " + std::to_string(header.magic())};
  }
  if (header.batch_length() < 0 || header.size_bytes() != bytes.size()) {
    return corrupt("batch length " + std::to_string(header.batch_length()) + " in " +
                   std::to_string(bytes.size()) + " bytes");
  }
  if (header.crc() != crc32c(bytes.subspan(kCrcStart))) {
    return corrupt("the checksum of the batch at offset " +
                   std::to_string(header.base_offset().value) + " does not match");
  }
  if (header.last_offset_delta() < 0 || header.record_count() < 0 ||
      header.base_offset().value < 0) {
    return corrupt("negative offset or count in a batch header");
  }
  return {};
}

Result<std::optional<Batch>> BatchReader::next() {
  const Slice rest = bytes_.sub(position_, bytes_.size() - position_);
  if (rest.size() <= kMagicOffset) return std::optional<Batch>{};
  const auto length = load_be<std::int32_t>(rest.data() + 8);
  const auto magic = load_be<std::int8_t>(rest.data() + kMagicOffset);
  if (magic == 0 || magic == 1) {
    return Error{ErrorCode::kUnsupportedForMessageFormat,
                 "messages of magic " + std::to_string(magic) + " are not supported"};
  }
  if (length < static_cast<std::int32_t>(kBatchHeaderSize - kLogOverhead)) {
    return corrupt("a record batch cannot have the length " + std::to_string(length));
  }
  const std::size_t size = static_cast<std::size_t>(length) + kLogOverhead;
  if (size > rest.size()) return std::optional<Batch>{};
  position_ += size;
  return std::optional<Batch>(Batch{rest.sub(0, size)});
}

bool is_legacy_message(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kLogOverhead + kMinLegacyLength) return false;
  const auto length = load_be<std::int32_t>(bytes.data() + 8);
  const auto magic = load_be<std::int8_t>(bytes.data() + kMagicOffset);
  if ((magic != 0 && magic != 1) || length < static_cast<std::int32_t>(kMinLegacyLength) ||
      static_cast<std::size_t>(length) + kLogOverhead > bytes.size()) {
    return false;
  }
  const auto crc = load_be<std::uint32_t>(bytes.data() + 12);
  return crc == libdeflate_crc32(0, bytes.data() + kMagicOffset,
                                 static_cast<std::size_t>(length) - sizeof(crc));
}

}  // namespace broker::record
