#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "broker/common/endian.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"

namespace broker::record {

/// Sizes of a record batch of magic 2. README.md has the byte picture.
inline constexpr std::size_t kBatchHeaderSize = 61;
inline constexpr std::size_t kLogOverhead = 12;  // base offset and length, not counted by length
inline constexpr std::size_t kCrcStart = 21;     // the checksum covers attributes to end
inline constexpr std::int8_t kMagic = 2;

inline constexpr std::int64_t kNoProducerId = -1;
inline constexpr std::int16_t kNoProducerEpoch = -1;
inline constexpr std::int32_t kNoSequence = -1;
inline constexpr WallMs kNoTimestamp = -1;

enum class Compression : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
enum class TimestampType : std::uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

inline constexpr std::int16_t kCompressionMask = 0x07;
inline constexpr std::int16_t kLogAppendTimeFlag = 0x08;
inline constexpr std::int16_t kTransactionalFlag = 0x10;
inline constexpr std::int16_t kControlFlag = 0x20;
inline constexpr std::int16_t kDeleteHorizonFlag = 0x40;

/// Adds to a producer's sequence, which wraps from 2^31-1 to 0.
constexpr std::int32_t add_sequence(std::int32_t sequence, std::int32_t n) {
  return static_cast<std::int32_t>((static_cast<std::int64_t>(sequence) + n) & 0x7fffffff);
}

/// A view of the 61 bytes in front of a batch's records. Borrows: the bytes must outlive it.
/// Getters read what is there; nothing is checked but by check_batch().
class BatchHeader {
 public:
  /// `bytes` has at least kBatchHeaderSize bytes.
  explicit BatchHeader(std::span<const std::uint8_t> bytes) : p_(bytes.data()) {
    CHECK(bytes.size() >= kBatchHeaderSize);
  }

  Offset base_offset() const { return Offset{load_be<std::int64_t>(p_)}; }
  std::int32_t batch_length() const { return load_be<std::int32_t>(p_ + 8); }
  /// Of the whole batch, header included.
  std::size_t size_bytes() const { return static_cast<std::size_t>(batch_length()) + kLogOverhead; }
  LeaderEpoch leader_epoch() const { return LeaderEpoch{load_be<std::int32_t>(p_ + 12)}; }
  std::int8_t magic() const { return load_be<std::int8_t>(p_ + 16); }
  std::uint32_t crc() const { return load_be<std::uint32_t>(p_ + 17); }
  std::int16_t attributes() const { return load_be<std::int16_t>(p_ + 21); }
  std::int32_t last_offset_delta() const { return load_be<std::int32_t>(p_ + 23); }
  WallMs base_timestamp() const { return load_be<std::int64_t>(p_ + 27); }
  WallMs max_timestamp() const { return load_be<std::int64_t>(p_ + 35); }
  ProducerId producer_id() const { return ProducerId{load_be<std::int64_t>(p_ + 43)}; }
  ProducerEpoch producer_epoch() const { return ProducerEpoch{load_be<std::int16_t>(p_ + 51)}; }
  std::int32_t base_sequence() const { return load_be<std::int32_t>(p_ + 53); }
  std::int32_t record_count() const { return load_be<std::int32_t>(p_ + 57); }

  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  Offset next_offset() const { return last_offset() + 1; }
  bool has_producer_id() const { return producer_id().value != kNoProducerId; }
  std::int32_t last_sequence() const {
    return base_sequence() == kNoSequence ? kNoSequence
                                          : add_sequence(base_sequence(), last_offset_delta());
  }
  /// The number of the codec, which may be one that Kafka does not define (5 to 7).
  int compression_id() const { return attributes() & kCompressionMask; }
  Compression compression() const { return static_cast<Compression>(compression_id()); }
  bool is_compressed() const { return compression_id() != 0; }
  TimestampType timestamp_type() const {
    return attributes() & kLogAppendTimeFlag ? TimestampType::kLogAppendTime
                                             : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return attributes() & kTransactionalFlag; }
  bool is_control() const { return attributes() & kControlFlag; }
  bool has_delete_horizon() const { return attributes() & kDeleteHorizonFlag; }

 private:
  const std::uint8_t* p_;
};

/// Rewrites in place. The first two lie outside the checksum; after the others call update_crc().
void set_base_offset(std::span<std::uint8_t> header, Offset offset);
void set_leader_epoch(std::span<std::uint8_t> header, LeaderEpoch epoch);
void set_batch_length(std::span<std::uint8_t> header, std::int32_t length);
void set_attributes(std::span<std::uint8_t> header, std::int16_t attributes);
void set_max_timestamp(std::span<std::uint8_t> header, WallMs timestamp);
/// `header` is the first kBatchHeaderSize bytes, `records` all that follows.
void update_crc(std::span<std::uint8_t> header, std::span<const std::uint8_t> records);

/// One whole batch and its bytes. Copying it copies no records.
struct Batch {
  Slice bytes;

  BatchHeader header() const { return BatchHeader(bytes.span()); }
  Slice records() const { return bytes.sub(kBatchHeaderSize, bytes.size() - kBatchHeaderSize); }
};

/// Whether `bytes` is exactly one well-formed batch of magic 2: size, magic, checksum, and deltas
/// and counts that are not negative. Errors: kCorruptMessage; kUnsupportedForMessageFormat for
/// magic 0 or 1; kInvalidRecord for an unknown magic.
Result<void> check_batch(std::span<const std::uint8_t> bytes);

/// Steps over the batches in a range of bytes by their length fields. A batch that is cut off at
/// the end is where the range ends: a fetch may bring one (Kafka cuts by size).
class BatchReader {
 public:
  explicit BatchReader(Slice bytes) : bytes_(std::move(bytes)) {}

  /// nullopt at the end. Errors: kCorruptMessage for a length no batch can have,
  /// kUnsupportedForMessageFormat for magic 0 or 1. Checksums are not looked at.
  Result<std::optional<Batch>> next();
  /// Bytes of the whole batches read so far.
  std::size_t position() const { return position_; }

 private:
  Slice bytes_;
  std::size_t position_ = 0;
};

/// Whether a message of magic 0 or 1 (before Kafka 0.11) with a valid checksum starts here: such
/// logs exist in old clusters and must not be taken for a torn write.
bool is_legacy_message(std::span<const std::uint8_t> bytes);

}  // namespace broker::record
