#include <gtest/gtest.h>

#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"
#include "operator/cli/lines.h"
#include "operator/cli/partitioner.h"
#include "operator/cli/record_reader.h"

namespace op::cli {
namespace {

namespace record = broker::record;

TEST(Partitioner, HashesAsJavaDoes) {
  const auto hash = [](const char* text) { return static_cast<std::int32_t>(murmur2(text)); };
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(hash("abc"), 479470107);
}

TEST(Partitioner, AKeyHasOnePartitionOfThoseThere) {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "key " + std::to_string(i);
    const std::int32_t partition = partition_of_key(key, 7);
    EXPECT_TRUE(partition >= 0 && partition < 7);
  }
}

std::vector<std::pair<std::string, std::string>> pairs_of(const std::vector<NewRecord>& records) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const NewRecord& r : records) out.emplace_back(r.key.value_or("(none)"), r.value);
  return out;
}

TEST(Lines, ArriveInAnyPieces) {
  Lines lines("");
  std::vector<NewRecord> out;
  ASSERT_TRUE(lines.take("on", out).ok());
  EXPECT_TRUE(out.empty());
  ASSERT_TRUE(lines.take("e\n\ntwo\nthr", out).ok());
  ASSERT_TRUE(lines.finish(out).ok());
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(pairs_of(out),
            (Pairs{{"(none)", "one"}, {"(none)", ""}, {"(none)", "two"}, {"(none)", "thr"}}));
  out.clear();
  ASSERT_TRUE(lines.finish(out).ok());
  EXPECT_TRUE(out.empty());
}

TEST(Lines, AreCutAtTheFirstSeparator) {
  Lines lines("=>");
  std::vector<NewRecord> out;
  ASSERT_TRUE(lines.take("a=>b=>c\n=>x\n", out).ok());
  EXPECT_EQ(pairs_of(out),
            (std::vector<std::pair<std::string, std::string>>{{"a", "b=>c"}, {"", "x"}}));
  const auto wrong = lines.take("no key\n", out);
  EXPECT_EQ(wrong.error().detail, "line 3 has no key: there is no '=>' in it");
}

broker::Slice batch(std::int64_t base, const std::vector<std::string>& values,
                    std::int64_t producer = -1) {
  record::BatchBuilder builder({.base_offset = broker::Offset{base},
                                .producer_id = broker::ProducerId{producer},
                                .producer_epoch = broker::ProducerEpoch{0},
                                .base_sequence = producer < 0 ? record::kNoSequence : 0,
                                .transactional = producer >= 0});
  for (const std::string& value : values) builder.add(1000, "key", value);
  return *builder.build();
}

broker::Slice marker(std::int64_t offset, record::ControlType type, std::int64_t producer) {
  const broker::Slice made = record::make_txn_marker(
      {type, broker::ProducerId{producer}, broker::ProducerEpoch{0}, 0}, 1000);
  std::vector<std::uint8_t> bytes(made.data(), made.data() + made.size());
  record::set_base_offset(bytes, broker::Offset{offset});
  return broker::Slice(std::move(bytes));
}

broker::Slice joined_bytes(const std::vector<broker::Slice>& parts) {
  std::vector<std::uint8_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.data(), part.data() + part.size());
  return broker::Slice(std::move(all));
}

std::vector<std::string> values_of(const ReadResult& result) {
  std::vector<std::string> out;
  for (const ReadRecord& read : result.records) out.push_back(read.value.value_or("(null)"));
  return out;
}

using Values = std::vector<std::string>;

TEST(RecordReader, BeginsAtTheOffsetWithinABatch) {
  const auto read = read_fetched({"t", 3}, joined_bytes({batch(10, {"a", "b", "c"})}), 11, {});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(values_of(*read), (Values{"b", "c"}));
  EXPECT_EQ(read->records[0].offset, 11);
  EXPECT_EQ(read->records[0].key, "key");
  EXPECT_EQ(read->next_offset, 13);
}

TEST(RecordReader, LeavesOutMarkersAndAbortedTransactions) {
  const auto bytes =
      joined_bytes({batch(0, {"plain"}), batch(1, {"bad"}, 7), batch(2, {"good"}, 8),
                    marker(3, record::ControlType::kAbort, 7),
                    marker(4, record::ControlType::kCommit, 8), batch(5, {"later"}, 7)});
  EXPECT_EQ(values_of(*read_fetched({"t", 0}, bytes, 0, {{7, 1}})),
            (Values{"plain", "good", "later"}));
  const auto uncommitted = read_fetched({"t", 0}, bytes, 0, {});
  EXPECT_EQ(values_of(*uncommitted), (Values{"plain", "bad", "good", "later"}));
  EXPECT_EQ(uncommitted->next_offset, 6);
}

TEST(RecordReader, ABatchThatIsCutOffIsReadNextTime) {
  const broker::Slice whole = joined_bytes({batch(0, {"a"}), batch(1, {"b"})});
  const auto read = read_fetched({"t", 0}, whole.sub(0, whole.size() - 3), 0, {});
  EXPECT_EQ(values_of(*read), Values{"a"});
  EXPECT_EQ(read->next_offset, 1);
}

TEST(RecordReader, DamagedBytesAreAnError) {
  const broker::Slice good = batch(0, {"value"});
  std::vector<std::uint8_t> bytes(good.data(), good.data() + good.size());
  bytes.back() ^= 1;
  EXPECT_EQ(read_fetched({"t", 0}, broker::Slice(std::move(bytes)), 0, {}).code(),
            broker::ErrorCode::kCorruptMessage);
}

TEST(RecordReader, JsonHasEverythingAndSurvivesAnyBytes) {
  ReadRecord read{{"t", 1}, 5, 1795250733120, {}, std::string("a\xff"), {{"h", {}}}};
  EXPECT_EQ(record_json(read),
            R"({"topic":"t","partition":1,"offset":5,"timestamp":"2026-11-21T08:45:33.120Z",)"
            R"("key":null,"value":"a)"
            "\xEF\xBF\xBD"
            R"(","headers":[{"key":"h","value":null}]})");
}

}  // namespace
}  // namespace op::cli
