#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "broker/record/batch.h"
#include "broker/record/record_iterator.h"

namespace broker::record {

struct BatchOptions {
  Compression compression = Compression::kNone;
  std::optional<int> compression_level;
  Offset base_offset;
  LeaderEpoch leader_epoch{-1};
  TimestampType timestamp_type = TimestampType::kCreateTime;
  ProducerId producer_id{kNoProducerId};
  ProducerEpoch producer_epoch{kNoProducerEpoch};
  std::int32_t base_sequence = kNoSequence;
  bool transactional = false;
  bool control = false;
};

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Collects records into one batch of magic 2 with consecutive offsets.
class BatchBuilder {
 public:
  explicit BatchBuilder(BatchOptions options = {}) : options_(options) {}

  void add(WallMs timestamp, std::optional<Bytes> key, std::optional<Bytes> value,
           std::span<const HeaderView> headers = {});
  void add(WallMs timestamp, std::string_view key, std::string_view value) {
    add(timestamp, as_bytes(key), as_bytes(value));
  }

  bool empty() const { return count_ == 0; }
  std::int32_t record_count() const { return count_; }
  /// Of the batch so far, uncompressed.
  std::size_t size_bytes() const { return kBatchHeaderSize + records_.size(); }
  /// What add() would make of size_bytes(), at most.
  std::size_t size_bytes_with(std::size_t key_bytes, std::size_t value_bytes) const;

  /// The finished batch; the builder is empty afterwards and goes on at the next offset (and
  /// sequence). At least one record was added. Errors: kUnsupportedCompressionType.
  Result<Slice> build();

 private:
  BatchOptions options_;
  std::vector<std::uint8_t> records_;
  std::int32_t count_ = 0;
  WallMs base_timestamp_ = 0;
  WallMs max_timestamp_ = kNoTimestamp;
};

}  // namespace broker::record
