#include "broker/common/rng.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;
using testing::LogTest;
using Offsets = std::vector<std::int64_t>;

constexpr const char* kFirst = "00000000000000000000";

class RecoveryTest : public LogTest {
 protected:
  void overwrite(const std::string& name, std::string_view content) {
    files_.forget(dir_.path() + "/" + name);
    dir_.write(name, content);
  }
};

TEST_F(RecoveryTest, CorruptionOfAnyByteOfTheLastBatchTruncatesIt) {
  append({.records = 2});
  const std::size_t good = log_->size_bytes();
  append({.records = 2});
  log_ = nullptr;
  const std::string name = std::string(kFirst) + ".log";
  const std::string whole = dir_.read(name);
  for (std::size_t i = good; i < whole.size(); ++i) {
    if (i - good >= 12 && i - good < 16) continue;  // leader epoch: outside the checksum
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x40);
    overwrite(name, bytes);
    open(false);
    // A base offset is outside the checksum too: a gap upwards is legal.
    if (i - good < 8 && log_->log_end_offset() > Offset{4}) continue;
    EXPECT_EQ(log_->log_end_offset(), Offset{2}) << "byte " << i - good;
    EXPECT_EQ(log_->size_bytes(), good);
    EXPECT_EQ(append().first_offset, Offset{2});
    log_ = nullptr;
  }
}

TEST_F(RecoveryTest, ATornWriteOfAnyLengthTruncatesToTheBatchBefore) {
  append({.records = 2});
  const std::size_t good = log_->size_bytes();
  append({.records = 2});
  log_ = nullptr;
  const std::string name = std::string(kFirst) + ".log";
  const std::string whole = dir_.read(name);
  // The last byte is a zero: a record without headers.
  for (std::size_t n = good; n + 1 < whole.size(); ++n) {
    for (const bool zeros : {false, true}) {  // cut off, or a hole where data never arrived
      std::string bytes = whole.substr(0, n);
      if (zeros) bytes.resize(whole.size() + 5000);
      overwrite(name, bytes);
      open(false);
      ASSERT_EQ(log_->log_end_offset(), Offset{2}) << n << zeros;
      ASSERT_EQ(dir_.read(name).size(), good);
      log_ = nullptr;
    }
  }
}

TEST_F(RecoveryTest, WhatLiesBehindABadBatchGoesWithIt) {
  options_.segment_bytes = 340;
  open(true);
  for (int i = 0; i < 10; ++i) append({.timestamp = kNow + i, .value_bytes = 80}, 1 + i);
  ASSERT_EQ(log_->segment_count(), 5u);
  log_ = nullptr;
  const std::string name = "00000000000000000004.log";
  std::string bytes = dir_.read(name);
  bytes[bytes.size() - 1] ^= 1;  // offset 5
  overwrite(name, bytes);
  open(false);
  EXPECT_EQ(log_->log_end_offset(), Offset{5});
  EXPECT_EQ(log_->latest_epoch(), LeaderEpoch{5});
  EXPECT_EQ(log_->max_timestamp().value()->timestamp, kNow + 4);
  EXPECT_EQ(dir_.names(".log").size(), 3u);
  EXPECT_EQ(dir_.names(".index").size(), 3u);
  EXPECT_EQ(base_offsets(), (Offsets{0, 1, 2, 3, 4}));
}

TEST_F(RecoveryTest, SegmentsBelowTheRecoveryPointAreNotRead) {
  options_.segment_bytes = 300;
  open(true);
  for (int i = 0; i < 6; ++i) append({.value_bytes = 80});
  ASSERT_TRUE(log_->flush(kNow).ok());
  log_ = nullptr;
  std::string bytes = dir_.read(std::string(kFirst) + ".log");
  bytes[100] ^= 1;
  overwrite(std::string(kFirst) + ".log", bytes);
  open(false, Offset{6});
  EXPECT_EQ(log_->log_end_offset(), Offset{6});
  open(false, Offset{0});
  EXPECT_EQ(log_->log_end_offset(), Offset{0});
}

TEST_F(RecoveryTest, ARecoveryPointBehindTheEndMakesEverythingSuspect) {
  options_.segment_bytes = 300;
  open(true);
  for (int i = 0; i < 6; ++i) append({.value_bytes = 80});
  log_ = nullptr;
  std::string bytes = dir_.read(std::string(kFirst) + ".log");
  bytes[100] ^= 1;
  overwrite(std::string(kFirst) + ".log", bytes);
  open(false, Offset{50});
  EXPECT_EQ(log_->log_end_offset(), Offset{0});
}

TEST_F(RecoveryTest, RebuiltIndexesEqualTheOnesWrittenByAppends) {
  options_.segment_bytes = 20000;
  options_.index_interval_bytes = 300;
  open(true);
  Rng rng(5);
  for (int i = 0; i < 400; ++i) {
    append({.records = 1 + static_cast<int>(rng.below(4)),
            .timestamp = kNow + static_cast<WallMs>(rng.below(1000)),
            .value_bytes = rng.below(200)});
  }
  ASSERT_TRUE(log_->close(kNow).ok());
  log_ = nullptr;
  std::map<std::string, std::string> written;
  for (const auto& name : dir_.names("index")) written[name] = dir_.read(name);
  ASSERT_GT(written.size(), 4u);

  open(false);
  ASSERT_TRUE(log_->close(kNow).ok());
  log_ = nullptr;
  for (const auto& [name, content] : written) EXPECT_EQ(dir_.read(name), content) << name;

  // Missing or damaged indexes of a clean log are rebuilt on first use. That uses the default
  // interval, so only what they find is compared.
  for (const auto& [name, content] : written) overwrite(name, content + "x");
  ASSERT_TRUE(dir_.fs().remove(dir_.path() + "/" + written.begin()->first).ok());
  files_.forget(dir_.path() + "/" + written.begin()->first);
  open(true);
  EXPECT_EQ(base_offsets().size(), 400u);
}

TEST_F(RecoveryTest, LeftoversOfDeletionsAndLostSegmentsAreRemoved) {
  append();
  ASSERT_TRUE(log_->close(kNow).ok());
  dir_.write("00000000000000000099.index", "");
  dir_.write("00000000000000000099.timeindex", "");
  dir_.write("00000000000000000000.log.deleted", "x");
  dir_.write("00000000000000000007.log.cleaned", "x");
  dir_.write("00000000000000000002-0000000001.checkpoint.deleted", "the quorum's");
  dir_.write("00000000000000000000.snapshot", "stray, but at a segment's base");
  open(true);
  EXPECT_TRUE(dir_.names("99.index").empty());
  EXPECT_TRUE(dir_.names("99.timeindex").empty());
  EXPECT_EQ(dir_.names(".deleted").size(), 1u);
  EXPECT_TRUE(dir_.names(".cleaned").empty());
}

TEST_F(RecoveryTest, ACompactionThatWasDecidedIsFinished) {
  for (int i = 0; i < 3; ++i) {
    append();
    ASSERT_TRUE(log_->roll(kNow).ok());
  }
  append();
  const std::string first = dir_.read("00000000000000000000.log");
  const std::string third = dir_.read("00000000000000000002.log");
  log_ = nullptr;
  // Of the three, the second one's record did not stay. Kafka renames the log first: an index may
  // have its last name already, or be missing.
  dir_.write("00000000000000000000.log.swap", first + third);
  dir_.write("00000000000000000000.timeindex.swap", "");
  dir_.write("00000000000000000001.log.deleted", "x");
  open(false);
  EXPECT_EQ(base_offsets(), (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(dir_.names(".log"),
            (std::vector<std::string>{"00000000000000000000.log", "00000000000000000003.log"}));
  EXPECT_TRUE(dir_.names(".swap").empty());
}

TEST_F(RecoveryTest, ACompactionThatWasNotDecidedIsUndone) {
  append();
  ASSERT_TRUE(log_->roll(kNow).ok());
  append();
  log_ = nullptr;
  dir_.write("00000000000000000000.log.swap", "");
  dir_.write("00000000000000000000.index.cleaned", "");
  open(false);
  EXPECT_EQ(base_offsets(), (std::vector<std::int64_t>{0, 1}));
  EXPECT_TRUE(dir_.names(".swap").empty());
  EXPECT_TRUE(dir_.names(".cleaned").empty());
}

TEST_F(RecoveryTest, ASwapThatIsNotWholeIsRefusedAndNothingIsDestroyed) {
  append();
  log_ = nullptr;
  dir_.write("00000000000000000000.log.swap", "x");
  const auto opened = Log::open(files_, dir_.path(), {"orders", 0}, options_, {.now = kNow});
  EXPECT_EQ(opened.code(), ErrorCode::kKafkaStorageError);
  EXPECT_FALSE(dir_.names(".swap").empty());
  EXPECT_FALSE(dir_.names(".log").empty());
}

TEST_F(RecoveryTest, AMissingOrDamagedEpochCheckpointIsRebuilt) {
  for (int i = 0; i < 3; ++i) append({}, 2 + i);
  ASSERT_TRUE(log_->close(kNow).ok());
  const std::string good = dir_.read("leader-epoch-checkpoint");
  EXPECT_EQ(good, "0\n3\n2 0\n3 1\n4 2\n");
  dir_.write("leader-epoch-checkpoint", "0\n3\n2 0\n");
  open(true);
  EXPECT_EQ(log_->latest_epoch(), LeaderEpoch{4});
  EXPECT_EQ(log_->end_offset_for_epoch(LeaderEpoch{2}), (EpochEnd{LeaderEpoch{2}, Offset{1}}));
  ASSERT_TRUE(log_->close(kNow).ok());
  EXPECT_EQ(dir_.read("leader-epoch-checkpoint"), good);
}

TEST_F(RecoveryTest, ALogStartBehindTheEndStartsAnew) {
  append();
  open(false, Offset{0}, Offset{10});
  EXPECT_EQ(log_->log_start_offset(), Offset{10});
  EXPECT_EQ(log_->log_end_offset(), Offset{10});
}

TEST_F(RecoveryTest, ADamagedProducerSnapshotFallsBackToTheOneBefore) {
  options_.segment_bytes = 250;
  open(true);
  for (int i = 0; i < 5; ++i) append({.producer_id = 9, .sequence = i, .value_bytes = 100});
  ASSERT_TRUE(log_->close(kNow).ok());
  const auto snapshots = dir_.names(".snapshot");
  ASSERT_GE(snapshots.size(), 3u);
  dir_.write(snapshots.back(), "garbage");
  open(true);
  EXPECT_EQ(log_->producers().producers().at(ProducerId{9}).last_sequence(), 4);
}

TEST_F(RecoveryTest, ManyCrashesLoseOnlyWhatWasNeverWritten) {
  options_.segment_bytes = 3000;
  options_.index_interval_bytes = 200;
  open(true);
  Rng rng(11);
  std::int64_t records = 0;
  for (int round = 0; round < 30; ++round) {
    for (std::uint64_t i = rng.below(20); i > 0; --i) {
      const int n = 1 + static_cast<int>(rng.below(5));
      append({.records = n, .timestamp = kNow + round, .value_bytes = rng.below(300)});
      records += n;
      if (rng.below(5) == 0) {
        ASSERT_TRUE(log_->flush(kNow).ok());
      }
    }
    rng.below(4) == 0 ? restart_cleanly() : crash();
    ASSERT_EQ(log_->log_end_offset(), Offset{records});
    (void)base_offsets();  // checks every batch
  }
}

}  // namespace
}  // namespace broker::storage
