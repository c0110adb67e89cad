#include "broker/record/validate.h"

#include <algorithm>
#include <cstring>

#include "broker/record/record_iterator.h"

namespace broker::record {
namespace {

Error invalid(std::string detail) { return {ErrorCode::kInvalidRecord, std::move(detail)}; }

/// What can be judged without looking at a record.
Result<void> check_header(const BatchHeader& header, const ProduceRules& rules) {
  if (header.compression_id() > static_cast<int>(Compression::kZstd)) {
    return Error{ErrorCode::kUnsupportedCompressionType,
                 "unknown codec " + std::to_string(header.compression_id())};
  }
  if (header.record_count() <= 0) return invalid("a batch without records");
  if (std::int64_t{header.last_offset_delta()} + 1 != header.record_count()) {
    return invalid("a batch of " + std::to_string(header.record_count()) + " records spans " +
                   std::to_string(header.last_offset_delta() + 1LL) + " offsets");
  }
  if (rules.origin != AppendOrigin::kClient) return {};
  if (header.base_offset() != Offset{0}) {
    return invalid("the base offset of a produced batch must be 0, it is " +
                   std::to_string(header.base_offset().value));
  }
  if (header.is_control()) return invalid("clients must not write control records");
  if (header.has_producer_id() && header.base_sequence() < 0) {
    return invalid("a batch with a producer id needs a sequence");
  }
  if (rules.timestamp_type == TimestampType::kCreateTime &&
      header.timestamp_type() == TimestampType::kLogAppendTime) {
    return Error{ErrorCode::kInvalidTimestamp, "producers must not use LogAppendTime"};
  }
  return {};
}

/// Walks the records of one batch and collects what is wrong with each.
class RecordWalk {
 public:
  RecordWalk(const BatchHeader& header, const ProduceRules& rules, WallMs now)
      : header_(header), rules_(rules) {
    if (rules.origin == AppendOrigin::kClient &&
        rules.timestamp_type == TimestampType::kCreateTime) {
      // now - INT64_MAX is in range for any now >= 0, now + INT64_MAX is not.
      earliest_ = now - rules.timestamp_before_max_ms;
      latest_ = rules.timestamp_after_max_ms > INT64_MAX - now ? INT64_MAX
                                                               : now + rules.timestamp_after_max_ms;
    }
  }

  Result<void> run(Bytes records) {
    for (std::int32_t i = 0; i < header_.record_count(); ++i) {
      ASSIGN_OR_RETURN(const RecordView record,
                       read_record(records, header_.base_offset(), header_.base_timestamp()));
      if (record.offset_delta != i) {
        return invalid("record " + std::to_string(i) + " of a batch has the offset delta " +
                       std::to_string(record.offset_delta));
      }
      check(record, i);
    }
    if (!records.empty()) return invalid("a batch has more bytes than its records");
    return {};
  }

  WallMs max_timestamp() const { return max_timestamp_; }

  /// The refusals, most important first, as Kafka answers them.
  Result<void> verdict(std::vector<RecordError>* out) {
    if (errors_.empty()) return {};
    const bool all_timestamps = bad_timestamps_ == total_errors_;
    std::string text = all_timestamps
                           ? "One or more records have been rejected due to invalid timestamp"
                           : "One or more records have been rejected due to " +
                                 std::to_string(total_errors_) +
                                 " record errors in total, and only showing the first three errors "
                                 "at most: " +
                                 first_three();
    if (out) *out = std::move(errors_);
    return Error{all_timestamps ? ErrorCode::kInvalidTimestamp : ErrorCode::kInvalidRecord,
                 std::move(text)};
  }

 private:
  static constexpr std::size_t kMaxErrors = 100;  // a bound for the response

  void check(const RecordView& record, std::int32_t index) {
    max_timestamp_ = std::max(max_timestamp_, record.timestamp);
    if (rules_.compacted && !record.key && !header_.is_control()) {
      add(index, "Compacted topic cannot accept message without key in topic partition " +
                     (rules_.partition ? to_string(*rules_.partition) : std::string("unknown")));
    } else if (record.timestamp != kNoTimestamp &&
               (record.timestamp < earliest_ || record.timestamp > latest_)) {
      ++bad_timestamps_;
      add(index, "Timestamp " + std::to_string(record.timestamp) + " of message with offset " +
                     std::to_string(index) + " is out of range. The timestamp should be within [" +
                     std::to_string(earliest_) + ", " + std::to_string(latest_) + "]");
    }
  }

  /// As Java prints a list of them.
  std::string first_three() const {
    std::string text = "[";
    for (std::size_t i = 0; i < std::min<std::size_t>(errors_.size(), 3); ++i) {
      text += (i == 0 ? "" : ", ");
      text += "RecordError(batchIndex=" + std::to_string(errors_[i].batch_index) + ", message='" +
              errors_[i].message + "')";
    }
    return text + "]";
  }

  void add(std::int32_t index, std::string message) {
    ++total_errors_;
    if (errors_.size() < kMaxErrors) errors_.push_back({index, std::move(message)});
  }

  const BatchHeader header_;
  const ProduceRules& rules_;
  WallMs earliest_ = INT64_MIN;
  WallMs latest_ = INT64_MAX;
  WallMs max_timestamp_ = kNoTimestamp;
  std::size_t total_errors_ = 0;
  std::size_t bad_timestamps_ = 0;
  std::vector<RecordError> errors_;
};

Error too_large(std::size_t size, std::int32_t max) {
  return {ErrorCode::kMessageTooLarge, "a batch of " + std::to_string(size) +
                                           " bytes, max.message.bytes is " + std::to_string(max)};
}

/// The checksum was right, so the bytes are as the client sent them, and would be so again: Kafka's
/// answer is final, where CORRUPT_MESSAGE is one that clients retry.
Error cannot_decompress(const Error& why) {
  return {ErrorCode::kUnknownServerError, "a batch cannot be decompressed: " + why.detail};
}

/// Brings timestamp type and maximum, and codec, to what the topic wants. Whether anything changed.
Result<bool> rewrite(ValidatedBatch& batch, const ProduceRules& rules, Bytes plain,
                     WallMs max_timestamp, WallMs now) {
  bool changed = false;
  const BatchHeader header = batch.header();
  std::int16_t attributes = header.attributes();
  const bool log_append_time =
      rules.timestamp_type == TimestampType::kLogAppendTime && !header.is_control();
  if (log_append_time) {
    attributes |= kLogAppendTimeFlag;
    max_timestamp = now;
  }
  if (rules.compression && !header.is_control() && header.compression() != *rules.compression) {
    ASSIGN_OR_RETURN(auto packed, compress(*rules.compression, plain, rules.compression_level));
    batch.records = Slice(std::move(packed));
    attributes = static_cast<std::int16_t>((attributes & ~kCompressionMask) |
                                           static_cast<int>(*rules.compression));
    set_batch_length(batch.bytes, static_cast<std::int32_t>(batch.size_bytes() - kLogOverhead));
    changed = true;
  }
  if (attributes != header.attributes() || max_timestamp != header.max_timestamp()) changed = true;
  if (changed) {
    set_attributes(batch.bytes, attributes);
    set_max_timestamp(batch.bytes, max_timestamp);
  }
  return changed;
}

}  // namespace

Result<ValidatedBatch> validate_produce_batch(const Batch& batch, const ProduceRules& rules,
                                              WallMs now, std::vector<RecordError>* record_errors) {
  const bool bounded = rules.origin != AppendOrigin::kRaftLeader;
  if (bounded && batch.bytes.size() > static_cast<std::size_t>(rules.max_message_bytes)) {
    return too_large(batch.bytes.size(), rules.max_message_bytes);
  }
  RETURN_IF_ERROR(check_batch(batch.bytes.span()));
  const BatchHeader header = batch.header();
  RETURN_IF_ERROR(check_header(header, rules));

  ValidatedBatch validated;
  std::memcpy(validated.bytes.data(), batch.bytes.data(), kBatchHeaderSize);
  validated.records = batch.records();
  std::vector<std::uint8_t> unpacked;
  Bytes plain = validated.records.span();
  if (header.is_compressed()) {
    auto result = decompress(header.compression(), plain, rules.max_decompressed_bytes);
    if (result.code() == ErrorCode::kCorruptMessage) return cannot_decompress(result.error());
    if (!result.ok()) return result.error();
    unpacked = std::move(*result);
    plain = unpacked;
  }

  RecordWalk walk(header, rules, now);
  RETURN_IF_ERROR(walk.run(plain));
  RETURN_IF_ERROR(walk.verdict(record_errors));
  ASSIGN_OR_RETURN(const bool changed, rewrite(validated, rules, plain, walk.max_timestamp(), now));
  if (changed) update_crc(validated.bytes, validated.records.span());
  if (bounded && validated.size_bytes() > static_cast<std::size_t>(rules.max_message_bytes)) {
    return too_large(validated.size_bytes(), rules.max_message_bytes);
  }
  return validated;
}

Result<Batch> parse_produce_records(const Slice& records, std::int16_t produce_version) {
  constexpr std::int16_t kFirstVersionWithZstd = 7;
  BatchReader reader(records);
  const auto next = reader.next();
  if (next.code() == ErrorCode::kUnsupportedForMessageFormat) {
    return invalid("produce requests may only carry record batches of magic 2");
  }
  if (!next.ok()) return next.error();
  if (!*next) return invalid("a produce request without a whole record batch");
  const Batch& batch = **next;
  if (batch.header().magic() != kMagic) {
    return invalid("produce requests may only carry record batches of magic 2");
  }
  if (reader.position() != records.size()) {
    return invalid("a produce request may carry exactly one record batch per partition");
  }
  if (batch.header().compression_id() == static_cast<int>(Compression::kZstd) &&
      produce_version < kFirstVersionWithZstd) {
    return Error{ErrorCode::kUnsupportedCompressionType,
                 "zstd needs version 7 or later of the produce request"};
  }
  return batch;
}

}  // namespace broker::record
