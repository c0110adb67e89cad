#include "broker/storage/log.h"

#include <sys/stat.h>

#include "broker/common/rng.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::BatchSpec;
using testing::kNow;
using testing::LogTest;
using testing::make_batch;
using Offsets = std::vector<std::int64_t>;

TEST_F(LogTest, AppendsGiveConsecutiveOffsetsAndReadsReturnTheSameBytes) {
  EXPECT_EQ(append({.records = 3}).first_offset, Offset{0});
  const AppendInfo info = append({.records = 2, .compression = record::Compression::kZstd}, 4);
  EXPECT_EQ(info.first_offset, Offset{3});
  EXPECT_EQ(info.last_offset, Offset{4});
  EXPECT_EQ(info.max_timestamp, kNow + 1);
  EXPECT_EQ(info.log_append_time, -1);
  EXPECT_EQ(log_->log_end_offset(), Offset{5});

  const auto read = log_->read(Offset{3}, Offset{5}, 1 << 20, true).value();
  const Slice sent = make_batch({.records = 2, .compression = record::Compression::kZstd});
  EXPECT_EQ(read.records.sub(17, read.records.size() - 17), sent.sub(17, sent.size() - 17));
  const record::BatchHeader header(read.records.span());
  EXPECT_EQ(header.base_offset(), Offset{3});
  EXPECT_EQ(header.leader_epoch(), LeaderEpoch{4});
}

TEST_F(LogTest, ReadsWholeBatchesWithinTheirBounds) {
  for (int i = 0; i < 4; ++i) append({.records = 10});  // all of one size
  const std::size_t size = log_->size_bytes() / 4;
  const auto read = [&](int from, int to, std::size_t bytes, bool at_least_one = true) {
    return log_->read(Offset{from}, Offset{to}, bytes, at_least_one).value();
  };
  EXPECT_EQ(read(15, 40, 1 << 20).first_offset, Offset{10}) << "the batch that holds it";
  EXPECT_EQ(read(0, 40, 2 * size + 5).records.size(), 2 * size);
  EXPECT_EQ(read(0, 40, 1).records.size(), size) << "at least one";
  EXPECT_TRUE(read(0, 40, 1, false).records.empty());
  EXPECT_EQ(read(0, 20, 1 << 20).next_offset, Offset{20}) << "nothing above the bound";
  EXPECT_TRUE(read(0, 5, 1 << 20).records.empty()) << "not half a batch";
  EXPECT_TRUE(read(40, 40, 1 << 20).records.empty());
  EXPECT_EQ(log_->read(Offset{41}, Offset{50}, 1, true).code(), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(log_->read(Offset{-1}, Offset{50}, 1, true).code(), ErrorCode::kOffsetOutOfRange);
}

TEST_F(LogTest, ABatchLargerThanTheReadAheadIsReadWhole) {
  append();
  append({.value_bytes = 300000});
  append();
  const auto read = log_->read(Offset{1}, Offset{3}, 100, true).value();
  EXPECT_EQ(read.next_offset, Offset{2});
  EXPECT_TRUE(record::check_batch(read.records.span()).ok());
  EXPECT_EQ(log_->read(Offset{2}, Offset{3}, 100, true).value().first_offset, Offset{2});
}

TEST_F(LogTest, EveryOffsetIsFoundAcrossSegmentsAndIndexes) {
  options_.segment_bytes = 40000;
  options_.index_interval_bytes = 500;
  open(true);
  Offsets bases;
  for (int i = 0; i < 600; ++i) {
    bases.push_back(append({.records = 1 + i % 3, .timestamp = kNow + i}).first_offset.value);
  }
  EXPECT_GT(log_->segment_count(), 1u);
  EXPECT_EQ(base_offsets(), bases);
  for (std::int64_t o = 0; o < log_->log_end_offset().value; ++o) {
    const auto read = log_->read(Offset{o}, log_->log_end_offset(), 1, true).value();
    const record::BatchHeader header(read.records.span());
    EXPECT_LE(header.base_offset().value, o);
    EXPECT_GE(header.last_offset().value, o);
  }
  restart_cleanly();
  EXPECT_EQ(base_offsets(), bases);
}

TEST_F(LogTest, AReadByReferenceStandsForTheSameBytes) {
  options_.segment_bytes = 900000;
  open(true);
  Rng random(7);
  for (int i = 0; i < 400; ++i) {
    append({.records = 1 + static_cast<int>(random.below(5)), .value_bytes = random.below(3000)});
  }
  const Offset end = log_->log_end_offset();
  int referred = 0;
  for (int i = 0; i < 300; ++i) {
    const Offset from{
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(end.value)))};
    const Offset bound{from.value + 1 + static_cast<std::int64_t>(random.below(400))};
    const std::size_t bytes = 20000 + random.below(200000);
    const auto range = log_->read(from, bound, bytes, true, ReadAs::kFileRange).value();
    if (range.records.source() == nullptr) continue;
    ++referred;
    ASSERT_LE(range.records.size(), bytes);
    std::vector<std::uint8_t> loaded(range.records.size());
    ASSERT_TRUE(range.records.copy_to(loaded));
    const auto copied = log_->read(from, end, 1 << 20, true).value();
    ASSERT_EQ(range.first_offset, copied.first_offset);
    ASSERT_EQ(Slice(loaded), copied.records.sub(0, loaded.size()));
    Offset next = range.first_offset;
    record::BatchReader reader{Slice(loaded)};
    for (auto batch = reader.next().value(); batch; batch = reader.next().value())
      next = batch->header().next_offset();
    ASSERT_EQ(range.next_offset, next);
    ASSERT_LE(next, bound);
  }
  EXPECT_GT(referred, 100);
}

TEST_F(LogTest, LittleIsCopiedAndNotReferredTo) {
  for (int i = 0; i < 100; ++i) append({.value_bytes = 1000});
  const Offset end = log_->log_end_offset();
  const auto all = log_->read(Offset{0}, end, 1 << 20, true, ReadAs::kFileRange).value();
  EXPECT_NE(all.records.source(), nullptr);
  const auto tail = log_->read(Offset{90}, end, 1 << 20, true, ReadAs::kFileRange).value();
  EXPECT_EQ(tail.records.source(), nullptr);
}

/// What a reader was promised stays what it was, whatever happens to the log.
class LentFileTest : public LogTest {
 protected:
  LentFileTest() {
    options_.segment_bytes = 100000;
    options_.file_delete_delay_ms = 0;
    open(true);
    for (int i = 0; i < 150; ++i) append({.value_bytes = 1000});  // two segments
    promised_ = bytes_of(log_->read(Offset{2}, Offset{90}, 1 << 20, true).value().records);
    lent_ = log_->read(Offset{2}, Offset{90}, 1 << 20, true, ReadAs::kFileRange).value().records;
    EXPECT_NE(lent_.source(), nullptr);
  }

  static std::vector<std::uint8_t> bytes_of(const Slice& slice) {
    std::vector<std::uint8_t> bytes(slice.size());
    EXPECT_TRUE(slice.copy_to(bytes));
    return bytes;
  }

  std::vector<std::uint8_t> promised_;
  Slice lent_;
};

TEST_F(LentFileTest, IsWhatItWasAfterATruncationAndOtherRecords) {
  ASSERT_TRUE(log_->truncate_to(Offset{10}, kNow).ok());
  for (int i = 0; i < 50; ++i) append({.records = 3, .value_bytes = 700}, 2);
  EXPECT_EQ(bytes_of(lent_), promised_);
  EXPECT_EQ(base_offsets().size(), 60u);
  crash();
  EXPECT_EQ(base_offsets().size(), 60u);
  EXPECT_TRUE(dir_.names(".tmp").empty());
}

TEST_F(LentFileTest, IsWhatItWasAfterAnUncleanLeadersWholeLogIsGone) {
  ASSERT_TRUE(log_->truncate_fully_and_start_at(Offset{0}, kNow).ok());
  for (int i = 0; i < 100; ++i) append({.records = 3, .value_bytes = 700}, 2);
  EXPECT_EQ(bytes_of(lent_), promised_);
}

TEST_F(LentFileTest, IsWhatItWasAfterItsSegmentIsDeleted) {
  ASSERT_TRUE(log_->delete_records(Offset{140}, log_->log_end_offset()).ok());
  ASSERT_EQ(log_->apply_retention(log_->log_end_offset(), kNow).value().segments_deleted, 1);
  ASSERT_TRUE(log_->apply_retention(log_->log_end_offset(), kNow + 1).ok());
  EXPECT_TRUE(dir_.names("00000000000000000000.log").empty());
  EXPECT_EQ(bytes_of(lent_), promised_);
}

TEST_F(LentFileTest, IsShortenedInPlaceBelowWhatNobodyWasPromised) {
  const auto inode = [&] {
    struct stat info {};
    EXPECT_EQ(::stat((dir_.path() + "/00000000000000000000.log").c_str(), &info), 0);
    return info.st_ino;
  };
  const auto before = inode();
  ASSERT_TRUE(log_->truncate_to(Offset{90}, kNow).ok());
  EXPECT_EQ(inode(), before);
  ASSERT_TRUE(log_->truncate_to(Offset{89}, kNow).ok());
  EXPECT_NE(inode(), before);
  EXPECT_EQ(bytes_of(lent_), promised_);
}

TEST_F(LogTest, RollsBySize) {
  options_.segment_bytes = 1000;
  open(true);
  for (int i = 0; i < 5; ++i) append({.value_bytes = 400});
  EXPECT_EQ(log_->segment_count(), 3u);
  EXPECT_EQ(dir_.names(".log"),
            (std::vector<std::string>{"00000000000000000000.log", "00000000000000000002.log",
                                      "00000000000000000004.log"}));
  EXPECT_EQ(try_append({.value_bytes = 2000}).code(), ErrorCode::kRecordListTooLarge);
}

TEST_F(LogTest, RollsByRecordTimeNotByTheClock) {
  options_.segment_ms = 1000;
  open(true);
  append({.timestamp = kNow});
  append({.timestamp = kNow + 1000});
  EXPECT_EQ(log_->segment_count(), 1u);
  append({.timestamp = kNow + 1001});
  EXPECT_EQ(log_->segment_count(), 2u);
}

TEST_F(LogTest, RollsWhenAnIndexIsFull) {
  options_.index_interval_bytes = 1;
  options_.segment_index_bytes = 36;  // three time index entries, four of offsets
  open(true);
  for (int i = 0; i < 9; ++i) append({.timestamp = kNow + i});
  EXPECT_GT(log_->segment_count(), 1u);
  EXPECT_EQ(base_offsets().size(), 9u);
}

TEST_F(LogTest, OldSegmentsDoNotHoldDescriptors) {
  options_.segment_bytes = 200;
  open(true);
  for (int i = 0; i < 100; ++i) append({.value_bytes = 80});
  EXPECT_EQ(log_->segment_count(), 100u);
  EXPECT_EQ(base_offsets().size(), 100u);
  EXPECT_LE(files_.size(), 8u);
}

TEST_F(LogTest, FindsOffsetsByTimestamp) {
  options_.segment_bytes = 2000;
  options_.index_interval_bytes = 100;
  open(true);
  for (int i = 0; i < 50; ++i) {
    append({.records = 2,
            .timestamp = kNow + 10 * i,
            .compression = i % 2 ? record::Compression::kLz4 : record::Compression::kNone});
  }
  EXPECT_EQ(log_->offset_for_timestamp(0).value(),
            (TimestampOffset{kNow, Offset{0}, LeaderEpoch{1}}));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(log_->offset_for_timestamp(kNow + 10 * i).value()->offset, Offset{2 * i});
    EXPECT_EQ(log_->offset_for_timestamp(kNow + 10 * i + 1).value()->offset, Offset{2 * i + 1});
  }
  EXPECT_FALSE(log_->offset_for_timestamp(kNow + 492).value().has_value());
  EXPECT_EQ(log_->max_timestamp().value()->offset, Offset{99});
}

TEST_F(LogTest, AnIdempotentProducersRepetitionGetsItsOldOffsets) {
  const BatchSpec first{.records = 2, .producer_id = 7, .sequence = 0};
  append(first);
  append({.records = 1, .producer_id = 7, .sequence = 2});
  const AppendInfo again = append(first);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.first_offset, Offset{0});
  EXPECT_EQ(again.last_offset, Offset{1});
  EXPECT_EQ(log_->log_end_offset(), Offset{3});
  EXPECT_EQ(try_append({.producer_id = 7, .sequence = 9}).code(),
            ErrorCode::kOutOfOrderSequenceNumber);
}

TEST_F(LogTest, ProducerStateSurvivesARestartOfEitherKind) {
  options_.segment_bytes = 400;
  open(true);
  for (int i = 0; i < 8; ++i) append({.producer_id = 7, .sequence = i, .value_bytes = 100});
  const auto before = log_->producers().to_snapshot();
  crash();
  EXPECT_EQ(log_->producers().to_snapshot(), before);
  EXPECT_TRUE(append({.producer_id = 7, .sequence = 7, .value_bytes = 100}).duplicate);
  restart_cleanly();
  EXPECT_EQ(log_->producers().to_snapshot(), before);
  EXPECT_EQ(try_append({.producer_id = 7, .sequence = 9}).code(),
            ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(append({.producer_id = 7, .sequence = 8}).first_offset, Offset{8});
}

TEST_F(LogTest, AnAbortedTransactionIsInTheIndexAndOpenOnesHoldTheUnstableOffset) {
  append({.producer_id = 7, .sequence = 0, .transactional = true});
  append({.producer_id = 8, .sequence = 0, .transactional = true});
  EXPECT_EQ(log_->first_unstable_offset(Offset{2}), Offset{0});
  const auto mark = [&](std::int64_t id, record::ControlType type) {
    const Slice marker = record::make_txn_marker({type, ProducerId{id}, ProducerEpoch{0}, 3}, kNow);
    return log_->append_as_leader(marker, LeaderEpoch{1}, AppendOrigin::kCoordinator, kNow);
  };
  ASSERT_TRUE(mark(7, record::ControlType::kAbort).ok());
  EXPECT_EQ(log_->first_unstable_offset(Offset{2}), Offset{0}) << "the marker may be lost";
  EXPECT_EQ(log_->first_unstable_offset(Offset{3}), Offset{1});
  ASSERT_TRUE(mark(8, record::ControlType::kCommit).ok());
  EXPECT_FALSE(log_->first_unstable_offset(Offset{4}).has_value());

  const std::vector<AbortedTxn> expected{{ProducerId{7}, Offset{0}, Offset{2}, Offset{1}}};
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{4}).value(), expected);
  crash();
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{4}).value(), expected);
  EXPECT_FALSE(log_->first_unstable_offset(Offset{4}).has_value());
}

TEST_F(LogTest, OpenTransactionsAreStillOpenAfterAStop) {
  append({.producer_id = 7, .sequence = 0, .transactional = true});
  append({});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(log_->producers().has_open_transaction(ProducerId{7}, ProducerEpoch{0}));
    EXPECT_EQ(log_->first_unstable_offset(Offset{2}), Offset{0});
    if (i == 0) restart_cleanly();
  }
  const Slice marker = record::make_txn_marker(
      {record::ControlType::kAbort, ProducerId{7}, ProducerEpoch{1}, 3}, kNow);
  ASSERT_TRUE(
      log_->append_as_leader(marker, LeaderEpoch{1}, AppendOrigin::kCoordinator, kNow).ok());
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{3}).value().size(), 1u);
  EXPECT_EQ(try_append({.producer_id = 7, .producer_epoch = 0, .sequence = 1}).code(),
            ErrorCode::kInvalidProducerEpoch);
  EXPECT_TRUE(try_append({.producer_id = 7, .producer_epoch = 1, .sequence = 0}).ok());
}

TEST_F(LogTest, AFollowerWritesTheLeadersBytesAndIgnoresACutBatch) {
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < 3; ++i) {
    record::BatchBuilder builder({.base_offset = Offset{10 * i}, .leader_epoch = LeaderEpoch{i}});
    builder.add(kNow, "k", "v");
    const Slice batch = builder.build().value();
    bytes.insert(bytes.end(), batch.data(), batch.data() + batch.size() - (i == 2 ? 1 : 0));
  }
  const AppendInfo info = log_->append_as_follower(Slice(bytes), kNow).value();
  EXPECT_EQ(info.last_offset, Offset{10});
  EXPECT_EQ(log_->log_end_offset(), Offset{11});
  EXPECT_EQ(base_offsets(), (Offsets{0, 10}));
  EXPECT_EQ(log_->end_offset_for_epoch(LeaderEpoch{0}), (EpochEnd{LeaderEpoch{0}, Offset{10}}));
  EXPECT_EQ(log_->append_as_follower(Slice(bytes), kNow).code(), ErrorCode::kInvalidRecord);
}

TEST_F(LogTest, AFollowerStopsAtAnEpochAboveItsOwn) {
  record::BatchBuilder builder({.leader_epoch = LeaderEpoch{5}});
  builder.add(kNow, "k", "v");
  const Slice batch = builder.build().value();
  EXPECT_EQ(log_->append_as_follower(batch, kNow, LeaderEpoch{4}).value().bytes, 0u);
  EXPECT_EQ(log_->append_as_follower(batch, kNow, LeaderEpoch{5}).value().bytes, batch.size());
}

TEST_F(LogTest, AFlushMovesTheRecoveryPointWhileAppendsGoOn) {
  options_.flush_messages = 2;
  open(true);
  append();
  EXPECT_FALSE(log_->flush_due(kNow));
  append();
  EXPECT_TRUE(log_->flush_due(kNow));
  const FlushJob job = log_->prepare_flush().value();
  append();
  ASSERT_TRUE(log_->complete_flush(job, job.run(), kNow).ok());
  EXPECT_EQ(log_->recovery_point(), Offset{2});
  EXPECT_EQ(dir_.read("leader-epoch-checkpoint"), "0\n1\n1 0\n");
}

TEST_F(LogTest, ATruncationDuringAFlushBoundsTheRecoveryPoint) {
  for (int i = 0; i < 4; ++i) append();
  const FlushJob job = log_->prepare_flush().value();
  ASSERT_TRUE(log_->truncate_to(Offset{1}, kNow).ok());
  append();
  ASSERT_TRUE(log_->complete_flush(job, job.run(), kNow).ok());
  EXPECT_EQ(log_->recovery_point(), Offset{1});
}

TEST_F(LogTest, ATruncationAtTheEndForgetsAnEpochWithoutRecords) {
  append({}, 1);
  log_->assign_epoch_start(LeaderEpoch{2});
  ASSERT_TRUE(log_->truncate_to(Offset{1}, kNow).ok());
  EXPECT_EQ(log_->latest_epoch(), LeaderEpoch{1});
}

TEST_F(LogTest, AFailedSyncPoisonsTheLog) {
  append();
  const FlushJob job = log_->prepare_flush().value();
  const Error eio{ErrorCode::kKafkaStorageError, "sync x: Input/output error"};
  EXPECT_EQ(log_->complete_flush(job, eio, kNow).code(), ErrorCode::kKafkaStorageError);
  EXPECT_TRUE(log_->failed());
  EXPECT_EQ(try_append().code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(log_->read(Offset{0}, Offset{1}, 1, true).code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(log_->close(kNow).code(), ErrorCode::kKafkaStorageError);
  crash();
  EXPECT_EQ(append().first_offset, Offset{1});
}

TEST_F(LogTest, TruncatesWithinAndAcrossSegments) {
  options_.segment_bytes = 600;
  options_.index_interval_bytes = 50;
  open(true);
  for (int i = 0; i < 20; ++i) {
    append({.timestamp = kNow + i, .producer_id = 7, .sequence = i, .value_bytes = 50}, 1 + i / 10);
  }
  const auto segments = log_->segment_count();
  ASSERT_TRUE(log_->truncate_to(Offset{11}, kNow).ok());
  EXPECT_LT(log_->segment_count(), segments);
  EXPECT_EQ(log_->log_end_offset(), Offset{11});
  EXPECT_EQ(log_->max_timestamp().value()->timestamp, kNow + 10);
  EXPECT_EQ(log_->producers().producers().at(ProducerId{7}).last_sequence(), 10);
  ASSERT_TRUE(log_->truncate_to(Offset{9}, kNow).ok());
  EXPECT_EQ(log_->latest_epoch(), LeaderEpoch{1});
  EXPECT_EQ(append({.producer_id = 7, .sequence = 9}, 5).first_offset, Offset{9});
  EXPECT_EQ(base_offsets(), (Offsets{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  crash();
  EXPECT_EQ(base_offsets(), (Offsets{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(log_->latest_epoch(), LeaderEpoch{5});
}

TEST_F(LogTest, StartsAnewAtAnyOffset) {
  for (int i = 0; i < 3; ++i) append();
  ASSERT_TRUE(log_->truncate_fully_and_start_at(Offset{100}, kNow).ok());
  EXPECT_EQ(log_->log_start_offset(), Offset{100});
  EXPECT_EQ(append().first_offset, Offset{100});
  EXPECT_EQ(dir_.names(".log"), (std::vector<std::string>{"00000000000000000100.log"}));
  crash();
  EXPECT_EQ(log_->log_start_offset(), Offset{100});
  EXPECT_EQ(log_->log_end_offset(), Offset{101});
}

TEST_F(LogTest, RetentionByTimeDeletesFromTheFrontAndRollsAnExpiredActiveSegment) {
  options_.retention_ms = 1000;
  options_.segment_bytes = 200;
  options_.file_delete_delay_ms = 60000;
  open(true);
  for (int i = 0; i < 4; ++i) append({.timestamp = kNow + 500 * i, .value_bytes = 80});
  const Offset hw = log_->log_end_offset();
  const auto first = log_->apply_retention(hw, kNow + 1600).value();
  EXPECT_EQ(first.segments_deleted, 2);
  EXPECT_EQ(first.log_start_offset, Offset{2});
  EXPECT_FALSE(dir_.names(".deleted").empty());
  EXPECT_EQ(log_->apply_retention(hw, kNow + 10000).value().segments_deleted, 2);
  EXPECT_EQ(log_->log_start_offset(), Offset{4});
  EXPECT_EQ(log_->log_end_offset(), Offset{4});
  EXPECT_EQ(log_->size_bytes(), 0u);
  ASSERT_TRUE(log_->apply_retention(hw, kNow + 10000 + 60000).ok());
  EXPECT_TRUE(dir_.names(".deleted").empty());
  EXPECT_EQ(append().first_offset, Offset{4});
}

TEST_F(LogTest, RetentionNeverPassesTheHighWatermark) {
  options_.retention_ms = 1000;
  options_.segment_bytes = 200;
  open(true);
  for (int i = 0; i < 4; ++i) append({.value_bytes = 80});
  EXPECT_EQ(log_->apply_retention(Offset{2}, kNow + 5000).value().log_start_offset, Offset{2});
}

TEST_F(LogTest, RetentionBySizeKeepsAtLeastThatMuch) {
  options_.segment_bytes = 200;
  open(true);
  for (int i = 0; i < 10; ++i) append({.value_bytes = 80});
  const std::uint64_t one = log_->size_bytes() / 10;
  options_.retention_bytes = static_cast<std::int64_t>(3 * one);
  log_->update_options(options_);
  EXPECT_EQ(log_->apply_retention(Offset{10}, kNow).value().segments_deleted, 7);
  EXPECT_EQ(log_->size_bytes(), 3 * one);
}

TEST_F(LogTest, DeletedRecordsStayDeletedAndTheirSegmentsGo) {
  options_.segment_bytes = 200;
  options_.cleanup_delete = false;
  open(true);
  for (int i = 0; i < 4; ++i) append({.value_bytes = 80}, i);
  EXPECT_EQ(log_->delete_records(Offset{5}, Offset{4}).code(), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(log_->delete_records(Offset{-1}, Offset{3}).value(), Offset{3});
  EXPECT_EQ(log_->read(Offset{2}, Offset{4}, 1, true).code(), ErrorCode::kOffsetOutOfRange);
  EXPECT_TRUE(log_->positions(Offset{4}).log_start_was_raised);
  EXPECT_EQ(log_->apply_retention(Offset{4}, kNow).value().segments_deleted, 3);
  EXPECT_FALSE(log_->positions(Offset{4}).log_start_was_raised);
}

TEST_F(LogTest, ATopicIdIsWrittenOnceAndNotReplaced) {
  ASSERT_TRUE(log_->set_topic_id(kMetadataTopicId).ok());
  EXPECT_EQ(dir_.read("partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
  crash();
  EXPECT_EQ(log_->topic_id(), kMetadataTopicId);
  EXPECT_EQ(log_->set_topic_id(Uuid{1, 2}).code(), ErrorCode::kInconsistentTopicId);
}

TEST_F(LogTest, LogAppendTimeIsReported) {
  options_.timestamp_type = record::TimestampType::kLogAppendTime;
  open(true);
  const auto info = log_->append_as_leader(make_batch({.timestamp = 5}), LeaderEpoch{1},
                                           AppendOrigin::kClient, kNow);
  EXPECT_EQ(info.value().log_append_time, kNow);
  EXPECT_EQ(log_->max_timestamp().value()->timestamp, kNow);
}

TEST_F(LogTest, APairOfCoordinatorBatchesIsOneAppend) {
  const Slice one = make_batch();
  std::vector<std::uint8_t> two(one.data(), one.data() + one.size());
  two.insert(two.end(), one.data(), one.data() + one.size());
  const auto append = [&](AppendOrigin origin) {
    return log_->append_as_leader(Slice(two), LeaderEpoch{1}, origin, kNow);
  };
  EXPECT_EQ(append(AppendOrigin::kClient).code(), ErrorCode::kInvalidRecord);
  EXPECT_EQ(append(AppendOrigin::kCoordinator).value().last_offset, Offset{1});
  EXPECT_EQ(base_offsets(), (Offsets{0, 1}));
}

}  // namespace
}  // namespace broker::storage
