#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "broker/record/aborted_transactions.h"
#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"

namespace broker::record {
namespace {

constexpr std::array kCodecs{Compression::kNone, Compression::kGzip, Compression::kSnappy,
                             Compression::kLz4, Compression::kZstd};

/// Name -> bytes of batches that Kafka 4.3.1's own client library wrote.
std::map<std::string, Slice> kafka_batches() {
  std::map<std::string, Slice> batches;
  std::ifstream file(TEST_SOURCE_DIR "/testdata/kafka_4.3.1_batches.txt");
  std::string name, hex;
  while (file >> name >> hex) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    batches[name] = Slice(std::move(bytes));
  }
  return batches;
}

std::string text(const std::optional<Bytes>& bytes) {
  return bytes ? std::string(bytes->begin(), bytes->end()) : "<null>";
}

std::vector<std::string> describe(const Slice& bytes) {
  auto records = RecordIterator::open(Batch{bytes}).value();
  std::vector<std::string> lines;
  while (true) {
    const auto record = records.next().value();
    if (!record) return lines;
    std::string line = std::to_string(record->offset.value) + "@" +
                       std::to_string(record->timestamp) + " " + text(record->key) + "=" +
                       text(record->value);
    for (const HeaderView& h : record->headers()) {
      line += " " + std::string(h.key) + ":" + text(h.value);
    }
    lines.push_back(std::move(line));
  }
}

BatchBuilder golden_builder(Compression compression) {
  BatchBuilder builder({.compression = compression,
                        .base_offset = Offset{42},
                        .leader_epoch = LeaderEpoch{5},
                        .producer_id = ProducerId{4711},
                        .producer_epoch = ProducerEpoch{3},
                        .base_sequence = 7});
  const HeaderView headers[] = {{"trace", as_bytes("abc")}, {"none", std::nullopt}};
  builder.add(1700000000000, "k1", "value one");
  builder.add(1700000000500, std::nullopt, as_bytes("value two"), headers);
  builder.add(1700000000100, as_bytes("k3"), std::nullopt);
  return builder;
}

const std::vector<std::string> kGoldenRecords{
    "42@1700000000000 k1=value one",
    "43@1700000000500 <null>=value two trace:abc none:<null>",
    "44@1700000000100 k3=<null>",
};

TEST(Batch, ReadsWhatKafkasClientsWriteInEveryCodec) {
  const auto batches = kafka_batches();
  for (const Compression codec : kCodecs) {
    SCOPED_TRACE(to_string(codec));
    const Slice& bytes = batches.at(std::string(to_string(codec)));
    ASSERT_TRUE(check_batch(bytes.span()).ok());
    const BatchHeader header(bytes.span());
    EXPECT_EQ(header.compression(), codec);
    EXPECT_EQ(header.base_offset(), Offset{42});
    EXPECT_EQ(header.last_offset(), Offset{44});
    EXPECT_EQ(header.leader_epoch(), LeaderEpoch{5});
    EXPECT_EQ(header.producer_id(), ProducerId{4711});
    EXPECT_EQ(header.producer_epoch(), ProducerEpoch{3});
    EXPECT_EQ(header.last_sequence(), 9);
    EXPECT_EQ(header.max_timestamp(), 1700000000500);
    EXPECT_EQ(describe(bytes), kGoldenRecords);
  }
}

TEST(Batch, AnUncompressedBatchIsByteForByteKafkas) {
  EXPECT_EQ(golden_builder(Compression::kNone).build().value(), kafka_batches().at("none"));
}

TEST(Batch, ATransactionMarkerIsByteForByteKafkas) {
  const TxnMarker marker{ControlType::kCommit, ProducerId{4711}, ProducerEpoch{3}, 12};
  const Slice ours = make_txn_marker(marker, 1700000000000);
  std::vector<std::uint8_t> bytes(ours.data(), ours.data() + ours.size());
  set_base_offset(bytes, Offset{99});  // outside the checksum
  set_leader_epoch(bytes, LeaderEpoch{6});
  EXPECT_EQ(Slice(bytes), kafka_batches().at("marker"));
  EXPECT_EQ(parse_txn_marker(Batch{ours}).value(), marker);
}

TEST(Batch, EveryCodecRoundTripsThroughTheBuilder) {
  for (const Compression codec : kCodecs) {
    SCOPED_TRACE(to_string(codec));
    const Slice bytes = golden_builder(codec).build().value();
    ASSERT_TRUE(check_batch(bytes.span()).ok());
    EXPECT_EQ(describe(bytes), kGoldenRecords);
  }
}

TEST(Batch, ABuilderGoesOnWhereItsLastBatchEnded) {
  BatchBuilder builder({.base_offset = Offset{10},
                        .producer_id = ProducerId{1},
                        .producer_epoch = ProducerEpoch{0},
                        .base_sequence = 2147483646});
  for (int i = 0; i < 3; ++i) builder.add(1, "k", "v");
  const Slice first = builder.build().value();
  EXPECT_EQ(BatchHeader(first.span()).last_sequence(), 0);  // wrapped
  builder.add(5, "k", "v");
  const Slice second = builder.build().value();
  const BatchHeader header(second.span());
  EXPECT_EQ(header.base_offset(), Offset{13});
  EXPECT_EQ(header.base_sequence(), 1);
  EXPECT_EQ(header.base_timestamp(), 5);
}

TEST(Batch, EveryChangedByteBehindTheChecksumIsNoticed) {
  const Slice good = golden_builder(Compression::kNone).build().value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (i < 8 || (i >= 12 && i < 16)) continue;  // base offset and leader epoch are not covered
    std::vector<std::uint8_t> bytes(good.data(), good.data() + good.size());
    bytes[i] ^= 0x10;
    EXPECT_FALSE(check_batch(bytes).ok()) << "byte " << i;
  }
}

TEST(Batch, AReaderStopsAtABatchThatIsCutOff) {
  const Slice one = golden_builder(Compression::kNone).build().value();
  std::vector<std::uint8_t> bytes(one.data(), one.data() + one.size());
  bytes.insert(bytes.end(), one.data(), one.data() + one.size() - 1);
  BatchReader reader{Slice(bytes)};
  EXPECT_TRUE(reader.next().value().has_value());
  EXPECT_FALSE(reader.next().value().has_value());
  EXPECT_EQ(reader.position(), one.size());
}

TEST(Batch, ALengthNoBatchCanHaveIsCorrupt) {
  std::vector<std::uint8_t> bytes(100, 0);
  bytes[16] = 2;
  EXPECT_EQ(BatchReader(Slice(bytes)).next().code(), ErrorCode::kCorruptMessage);
  store_be<std::int32_t>(bytes.data() + 8, -5);
  EXPECT_EQ(BatchReader(Slice(bytes)).next().code(), ErrorCode::kCorruptMessage);
}

TEST(Batch, AMessageOfTheOldFormatIsRecognised) {
  // magic 1: offset, size, crc32, magic, attributes, timestamp, key length -1, value "x"
  std::vector<std::uint8_t> message(12 + 4 + 1 + 1 + 8 + 4 + 4 + 1);
  store_be<std::int32_t>(message.data() + 8, static_cast<std::int32_t>(message.size() - 12));
  message[16] = 1;
  store_be<std::int32_t>(message.data() + 26, -1);
  store_be<std::int32_t>(message.data() + 30, 1);
  message[34] = 'x';
  EXPECT_FALSE(is_legacy_message(message));  // the checksum is still zero
  std::uint32_t crc = 0xffffffff;            // CRC-32 of zlib, bit by bit
  for (std::size_t i = 16; i < message.size(); ++i) {
    crc ^= message[i];
    for (int b = 0; b < 8; ++b) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  store_be<std::uint32_t>(message.data() + 12, ~crc);
  EXPECT_TRUE(is_legacy_message(message));
  EXPECT_EQ(BatchReader(Slice(message)).next().code(), ErrorCode::kUnsupportedForMessageFormat);
}

TEST(ControlBatch, UnknownTypesAreToBeSkipped) {
  const std::uint8_t unknown[] = {0, 0, 0, 99};
  EXPECT_FALSE(parse_control_key(Bytes(unknown)).value().has_value());
  EXPECT_FALSE(parse_control_key(Bytes(unknown).first(3)).ok());
  EXPECT_FALSE(parse_control_key(std::nullopt).ok());
}

TEST(RecordIterator, SharedPartsOutliveIt) {
  Slice value;
  {
    auto records = RecordIterator::open(Batch{golden_builder(Compression::kZstd).build().value()});
    const auto record = records.value().next().value();
    value = records.value().share(*record->value);
  }
  EXPECT_EQ(value.view(), "value one");
}

TEST(RecordIterator, CutAndLyingRecordsAreErrorsNotCrashes) {
  const Slice good = golden_builder(Compression::kNone).build().value();
  for (std::size_t i = kBatchHeaderSize; i < good.size(); ++i) {
    for (const int flip : {0x01, 0x02, 0x7f, 0x80, 0xff}) {
      std::vector<std::uint8_t> bytes(good.data(), good.data() + good.size());
      bytes[i] ^= static_cast<std::uint8_t>(flip);
      auto records = RecordIterator::open(Batch{Slice(std::move(bytes))}).value();
      for (auto next = records.next(); next.ok() && next->has_value(); next = records.next()) {
        (void)(*next)->headers();
      }
    }
  }
}

TEST(AbortedTransactions, CoverWhatTheirProducerWroteUntilTheMarker) {
  const auto batch = [](Offset base, std::int64_t producer) {
    BatchBuilder builder({.base_offset = base,
                          .producer_id = ProducerId{producer},
                          .producer_epoch = ProducerEpoch{0},
                          .base_sequence = 0,
                          .transactional = true});
    builder.add(0, "k", "v");
    return Batch{builder.build().value()};
  };
  const Slice abort = make_txn_marker({ControlType::kAbort, ProducerId{7}, ProducerEpoch{0}}, 0);
  AbortedTransactions aborted({{7, 20}, {7, 10}});
  EXPECT_FALSE(aborted.covers(batch(Offset{5}, 7))) << "an earlier transaction, committed";
  EXPECT_TRUE(aborted.covers(batch(Offset{10}, 7)));
  EXPECT_FALSE(aborted.covers(batch(Offset{11}, 8))) << "of somebody else";
  EXPECT_FALSE(aborted.covers(Batch{abort}));
  EXPECT_FALSE(aborted.covers(batch(Offset{13}, 7))) << "the next transaction";
  EXPECT_TRUE(aborted.covers(batch(Offset{20}, 7)));
}

}  // namespace
}  // namespace broker::record
