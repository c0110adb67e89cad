#include "broker/record/validate.h"

#include <gtest/gtest.h>

#include "broker/common/varint.h"
#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"

namespace broker::record {
namespace {

constexpr WallMs kNow = 1700000000000;

Slice batch_of(int records, BatchOptions options = {}, WallMs timestamp = kNow) {
  BatchBuilder builder(options);
  for (int i = 0; i < records; ++i) builder.add(timestamp + i, "key", "value");
  return builder.build().value();
}

/// Changes header fields and makes the checksum right again.
template <class Change>
Slice changed(const Slice& batch, Change change) {
  std::vector<std::uint8_t> bytes(batch.data(), batch.data() + batch.size());
  change(bytes);
  update_crc(std::span(bytes).first(kBatchHeaderSize), Bytes(bytes).subspan(kBatchHeaderSize));
  return Slice(std::move(bytes));
}

Result<ValidatedBatch> validate(const Slice& batch, const ProduceRules& rules = {},
                                std::vector<RecordError>* errors = nullptr) {
  return validate_produce_batch(Batch{batch}, rules, kNow, errors);
}

TEST(Validate, AGoodBatchKeepsItsBytes) {
  for (const auto codec : {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                           Compression::kLz4, Compression::kZstd}) {
    const Slice batch = batch_of(3, {.compression = codec});
    const auto valid = validate(batch);
    ASSERT_TRUE(valid.ok()) << to_string(codec);
    EXPECT_EQ(Slice::copy_of(valid->bytes), batch.sub(0, kBatchHeaderSize));
    EXPECT_EQ(valid->records.data(), batch.data() + kBatchHeaderSize) << "not copied";
  }
}

TEST(Validate, ChecksTheChecksum) {
  const Slice batch = batch_of(1);
  std::vector<std::uint8_t> bytes(batch.data(), batch.data() + batch.size());
  bytes.back() ^= 1;
  EXPECT_EQ(validate(Slice(bytes)).code(), ErrorCode::kCorruptMessage);
}

TEST(Validate, WhatCannotBeDecompressedIsRefusedForGood) {
  for (const auto codec :
       {Compression::kGzip, Compression::kSnappy, Compression::kLz4, Compression::kZstd}) {
    const Slice batch = changed(batch_of(3, {.compression = codec}), [](auto& bytes) {
      std::fill(bytes.begin() + kBatchHeaderSize, bytes.end(), std::uint8_t{0xff});
    });
    EXPECT_EQ(validate(batch).code(), ErrorCode::kUnknownServerError) << to_string(codec);
  }
}

TEST(Validate, CountsAndOffsetsMustAgree) {
  const Slice batch = batch_of(3);
  const auto with = [&](std::size_t at, std::int32_t value) {
    return validate(changed(batch, [&](auto& b) { store_be(b.data() + at, value); })).code();
  };
  EXPECT_EQ(with(57, 2), ErrorCode::kInvalidRecord);  // fewer records than offsets
  EXPECT_EQ(with(57, 0), ErrorCode::kInvalidRecord);
  EXPECT_EQ(with(57, -1), ErrorCode::kCorruptMessage);
  EXPECT_EQ(with(23, 5), ErrorCode::kInvalidRecord);
  // Header consistent, but the records are not as many.
  const auto both = [&](std::int32_t count) {
    return validate(changed(batch,
                            [&](auto& b) {
                              store_be<std::int32_t>(b.data() + 57, count);
                              store_be<std::int32_t>(b.data() + 23, count - 1);
                            }))
        .code();
  };
  EXPECT_EQ(both(2), ErrorCode::kInvalidRecord);
  EXPECT_EQ(both(4), ErrorCode::kInvalidRecord);
}

TEST(Validate, OffsetDeltasMustBeConsecutive) {
  const Slice batch = batch_of(1);
  const Slice skewed = changed(batch, [](auto& b) { b[kBatchHeaderSize + 3] = 2; });  // delta 1
  EXPECT_EQ(validate(skewed).code(), ErrorCode::kInvalidRecord);
}

TEST(Validate, ClientsMayNotNumberOffsetsOrWriteControlRecords) {
  EXPECT_EQ(validate(batch_of(1, {.base_offset = Offset{5}})).code(), ErrorCode::kInvalidRecord);
  EXPECT_EQ(validate(batch_of(1, {.control = true})).code(), ErrorCode::kInvalidRecord);
  const Slice marker =
      make_txn_marker({ControlType::kCommit, ProducerId{1}, ProducerEpoch{0}, 0}, kNow);
  EXPECT_TRUE(validate(marker, {.origin = AppendOrigin::kCoordinator}).ok());
}

TEST(Validate, AProducerIdNeedsASequence) {
  EXPECT_EQ(validate(batch_of(1, {.producer_id = ProducerId{7}})).code(),
            ErrorCode::kInvalidRecord);
  EXPECT_TRUE(validate(batch_of(1, {.producer_id = ProducerId{7},
                                    .producer_epoch = ProducerEpoch{0},
                                    .base_sequence = 0}))
                  .ok());
}

TEST(Validate, BoundsTheSize) {
  const Slice batch = batch_of(100);
  EXPECT_EQ(validate(batch, {.max_message_bytes = 100}).code(), ErrorCode::kMessageTooLarge);
  EXPECT_TRUE(
      validate(batch, {.origin = AppendOrigin::kRaftLeader, .max_message_bytes = 100}).ok());
}

TEST(Validate, ABombIsTooLarge) {
  BatchBuilder builder({.compression = Compression::kZstd});
  builder.add(kNow, "k", std::string(10 << 20, 'x'));
  EXPECT_EQ(validate(builder.build().value(), {.max_decompressed_bytes = 1 << 20}).code(),
            ErrorCode::kMessageTooLarge);
}

TEST(Validate, TimestampsOutsideTheWindowNameTheirRecords) {
  std::vector<RecordError> errors;
  const ProduceRules rules{.timestamp_before_max_ms = 1000, .timestamp_after_max_ms = 1};
  const auto late = validate(batch_of(4), rules, &errors);  // kNow ... kNow + 3
  EXPECT_EQ(late.code(), ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(late.error().detail, "One or more records have been rejected due to invalid timestamp");
  const auto refusal = [](int i) {
    return RecordError{i, "Timestamp " + std::to_string(kNow + i) + " of message with offset " +
                              std::to_string(i) +
                              " is out of range. The timestamp should be within [" +
                              std::to_string(kNow - 1000) + ", " + std::to_string(kNow + 1) + "]"};
  };
  EXPECT_EQ(errors, (std::vector<RecordError>{refusal(2), refusal(3)}));
  EXPECT_EQ(validate(batch_of(1, {}, kNow - 1001), rules).code(), ErrorCode::kInvalidTimestamp);
  EXPECT_TRUE(validate(batch_of(1, {}, kNow - 1000), rules).ok());
  EXPECT_TRUE(validate(batch_of(1, {}, kNoTimestamp), rules).ok());
  EXPECT_TRUE(validate(batch_of(1, {}, 5)).ok()) << "no lower bound by default";
}

TEST(Validate, CompactedTopicsNeedKeys) {
  for (const auto codec : {Compression::kNone, Compression::kLz4}) {
    BatchBuilder builder({.compression = codec});
    builder.add(kNow, "k", "v");
    builder.add(kNow, std::nullopt, as_bytes("v"));
    const Slice batch = builder.build().value();
    EXPECT_TRUE(validate(batch).ok());
    std::vector<RecordError> errors;
    const TopicPartition orders{"orders", 3};
    const auto refused = validate(batch, {.compacted = true, .partition = &orders}, &errors);
    EXPECT_EQ(refused.code(), ErrorCode::kInvalidRecord);
    const std::string why =
        "Compacted topic cannot accept message without key in topic partition orders-3";
    EXPECT_EQ(errors, (std::vector<RecordError>{{1, why}}));
    EXPECT_EQ(refused.error().detail,
              "One or more records have been rejected due to 1 record errors in total, and only "
              "showing the first three errors at most: [RecordError(batchIndex=1, message='" +
                  why + "')]");
  }
}

TEST(Validate, LogAppendTimeIsWrittenIntoTheHeader) {
  const Slice batch = batch_of(2, {}, 5);
  const auto valid = validate(batch, {.timestamp_type = TimestampType::kLogAppendTime});
  ASSERT_TRUE(valid.ok());
  EXPECT_EQ(valid->header().timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(valid->header().max_timestamp(), kNow);
  std::vector<std::uint8_t> whole(valid->bytes.begin(), valid->bytes.end());
  whole.insert(whole.end(), valid->records.data(), valid->records.data() + valid->records.size());
  EXPECT_TRUE(check_batch(whole).ok());
  auto records = RecordIterator::open(Batch{Slice(whole)}).value();
  EXPECT_EQ(records.next().value()->timestamp, kNow);
}

TEST(Validate, AWrongMaximumTimestampIsCorrected) {
  const Slice batch = changed(batch_of(3), [](auto& b) { set_max_timestamp(b, kNow + 999999); });
  EXPECT_EQ(validate(batch)->header().max_timestamp(), kNow + 2);
}

TEST(Validate, ATopicsCodecReplacesTheProducers) {
  const Slice batch = batch_of(50, {.compression = Compression::kGzip});
  const auto valid = validate(batch, {.compression = Compression::kZstd});
  ASSERT_TRUE(valid.ok());
  std::vector<std::uint8_t> whole(valid->bytes.begin(), valid->bytes.end());
  whole.insert(whole.end(), valid->records.data(), valid->records.data() + valid->records.size());
  EXPECT_TRUE(check_batch(whole).ok());
  EXPECT_EQ(BatchHeader(whole).compression(), Compression::kZstd);
  EXPECT_EQ(decompress(Compression::kZstd, valid->records.span()).value(),
            decompress(Compression::kGzip, Bytes(batch.span()).subspan(kBatchHeaderSize)).value());
}

TEST(Validate, UnknownCodecsAreRefused) {
  const Slice batch = changed(batch_of(1), [](auto& b) { set_attributes(b, 6); });
  EXPECT_EQ(validate(batch).code(), ErrorCode::kUnsupportedCompressionType);
}

TEST(ParseProduceRecords, ExactlyOneBatchOfMagicTwo) {
  const Slice one = batch_of(1);
  EXPECT_TRUE(parse_produce_records(one, 9).ok());
  EXPECT_EQ(parse_produce_records({}, 9).code(), ErrorCode::kInvalidRecord);
  std::vector<std::uint8_t> two(one.data(), one.data() + one.size());
  two.insert(two.end(), one.data(), one.data() + one.size());
  EXPECT_EQ(parse_produce_records(Slice(two), 9).code(), ErrorCode::kInvalidRecord);
  two.resize(one.size());
  two[16] = 1;
  EXPECT_EQ(parse_produce_records(Slice(two), 9).code(), ErrorCode::kInvalidRecord);
}

TEST(ParseProduceRecords, ZstdNeedsVersionSeven) {
  const Slice zstd = batch_of(1, {.compression = Compression::kZstd});
  EXPECT_EQ(parse_produce_records(zstd, 6).code(), ErrorCode::kUnsupportedCompressionType);
  EXPECT_TRUE(parse_produce_records(zstd, 7).ok());
}

}  // namespace
}  // namespace broker::record
