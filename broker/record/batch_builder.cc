#include "broker/record/batch_builder.h"

#include <algorithm>
#include <array>

#include "broker/common/varint.h"

namespace broker::record {
namespace {

void append_bytes(std::vector<std::uint8_t>& out, const std::optional<Bytes>& bytes) {
  append_varint(out, bytes ? static_cast<std::int32_t>(bytes->size()) : -1);
  if (bytes) out.insert(out.end(), bytes->begin(), bytes->end());
}

std::size_t bytes_size(const std::optional<Bytes>& bytes) {
  return bytes ? varint_size(static_cast<std::int32_t>(bytes->size())) + bytes->size()
               : varint_size(-1);
}

std::int16_t attributes_of(const BatchOptions& options) {
  int bits = static_cast<int>(options.compression);
  if (options.timestamp_type == TimestampType::kLogAppendTime) bits |= kLogAppendTimeFlag;
  if (options.transactional) bits |= kTransactionalFlag;
  if (options.control) bits |= kControlFlag;
  return static_cast<std::int16_t>(bits);
}

}  // namespace

void BatchBuilder::add(WallMs timestamp, std::optional<Bytes> key, std::optional<Bytes> value,
                       std::span<const HeaderView> headers) {
  if (count_ == 0) base_timestamp_ = timestamp;
  max_timestamp_ = std::max(max_timestamp_, timestamp);
  const std::int64_t timestamp_delta = timestamp - base_timestamp_;

  std::size_t size = 1 + varlong_size(timestamp_delta) + varint_size(count_) + bytes_size(key) +
                     bytes_size(value) + varint_size(static_cast<std::int32_t>(headers.size()));
  for (const HeaderView& header : headers) {
    size += bytes_size(as_bytes(header.key)) + bytes_size(header.value);
  }
  append_varint(records_, static_cast<std::int32_t>(size));
  records_.push_back(0);  // attributes
  append_varlong(records_, timestamp_delta);
  append_varint(records_, count_);
  append_bytes(records_, key);
  append_bytes(records_, value);
  append_varint(records_, static_cast<std::int32_t>(headers.size()));
  for (const HeaderView& header : headers) {
    append_bytes(records_, as_bytes(header.key));
    append_bytes(records_, header.value);
  }
  ++count_;
}

std::size_t BatchBuilder::size_bytes_with(std::size_t key_bytes, std::size_t value_bytes) const {
  constexpr std::size_t kMaxOverhead = 5 + 1 + 10 + 5 + 5 + 5 + 5;
  return size_bytes() + kMaxOverhead + key_bytes + value_bytes;
}

Result<Slice> BatchBuilder::build() {
  CHECK(count_ > 0);
  std::vector<std::uint8_t> batch(kBatchHeaderSize);
  if (options_.compression == Compression::kNone) {
    batch.reserve(kBatchHeaderSize + records_.size());
    batch.insert(batch.end(), records_.begin(), records_.end());
  } else {
    ASSIGN_OR_RETURN(const auto packed,
                     compress(options_.compression, records_, options_.compression_level));
    batch.insert(batch.end(), packed.begin(), packed.end());
  }
  std::uint8_t* p = batch.data();
  set_base_offset(batch, options_.base_offset);
  set_batch_length(batch, static_cast<std::int32_t>(batch.size() - kLogOverhead));
  set_leader_epoch(batch, options_.leader_epoch);
  store_be<std::int8_t>(p + 16, kMagic);
  set_attributes(batch, attributes_of(options_));
  store_be<std::int32_t>(p + 23, count_ - 1);
  store_be<std::int64_t>(p + 27, base_timestamp_);
  set_max_timestamp(batch, max_timestamp_);
  store_be<std::int64_t>(p + 43, options_.producer_id.value);
  store_be<std::int16_t>(p + 51, options_.producer_epoch.value);
  store_be<std::int32_t>(p + 53, options_.base_sequence);
  store_be<std::int32_t>(p + 57, count_);
  update_crc(std::span(batch).first(kBatchHeaderSize), Bytes(batch).subspan(kBatchHeaderSize));

  options_.base_offset = options_.base_offset + count_;
  if (options_.base_sequence != kNoSequence) {
    options_.base_sequence = add_sequence(options_.base_sequence, count_);
  }
  records_.clear();
  count_ = 0;
  max_timestamp_ = kNoTimestamp;
  return Slice(std::move(batch));
}

}  // namespace broker::record
