// One log, compacted: what stays, what goes, and when.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using record::as_bytes;
using testing::kNow;
using testing::LogTest;

constexpr std::int64_t kRetention = 1000;  // delete.retention.ms

/// One record as a consumer sees it; a tombstone has no value.
struct Seen {
  std::int64_t offset;
  std::string key;
  std::optional<std::string> value;
  WallMs timestamp = 0;

  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << seen.offset << " " << seen.key << "=" << seen.value.value_or("null") << " at "
       << seen.timestamp;
}

class LogCleanTest : public LogTest {
 protected:
  LogCleanTest() {
    options_.cleanup_delete = false;
    options_.cleanup_compact = true;
    options_.delete_retention_ms = kRetention;
    options_.index_interval_bytes = 50;
    options_.file_delete_delay_ms = 0;
    log_->update_options(options_);
  }

  struct Entry {
    std::string key;
    std::optional<std::string> value;
  };
  using Entries = std::vector<Entry>;

  Slice batch_of(const Entries& entries, record::BatchOptions options = {},
                 WallMs timestamp = kNow) {
    record::BatchBuilder builder(options);
    for (const Entry& entry : entries) {
      builder.add(timestamp++, as_bytes(entry.key),
                  entry.value ? std::optional(as_bytes(*entry.value)) : std::nullopt);
    }
    return builder.build().value();
  }
  Offset put_batch(const Slice& batch) {
    const auto info =
        log_->append_as_leader(batch, LeaderEpoch{1}, AppendOrigin::kCoordinator, kNow);
    EXPECT_TRUE(info.ok()) << to_string(info.error());
    return info.ok() ? info->first_offset : Offset{-1};
  }
  Offset put(const Entries& entries, record::BatchOptions options = {}) {
    return put_batch(batch_of(entries, options));
  }
  static record::BatchOptions of_producer(std::int64_t id, std::int32_t sequence,
                                          bool transactional = false) {
    return {.producer_id = ProducerId{id},
            .producer_epoch = ProducerEpoch{0},
            .base_sequence = sequence,
            .transactional = transactional};
  }
  Offset put_marker(std::int64_t producer, record::ControlType type) {
    return put_batch(record::make_txn_marker({.type = type,
                                              .producer_id = ProducerId{producer},
                                              .producer_epoch = ProducerEpoch{0},
                                              .coordinator_epoch = 0},
                                             kNow));
  }
  void roll() { ASSERT_TRUE(log_->roll(kNow).ok()); }

  Offset stable() const {
    return log_->first_unstable_offset(log_->log_end_offset()).value_or(log_->log_end_offset());
  }
  Cleanable cleanable(WallMs now = kNow) { return log_->cleanable(stable(), now).value().value(); }
  /// One pass, in steps of `budget` bytes. Returns what went wrong.
  Result<void> try_clean(WallMs now = kNow, CleanerLimits limits = {}, std::size_t budget = 64) {
    ASSIGN_OR_RETURN(auto cleaning, log_->begin_cleaning(cleanable(now), limits, now));
    while (true) {
      const auto step = cleaning->step(budget);
      if (!step.ok()) {
        log_->abandon_cleaning();
        return step.error();
      }
      if (*step == LogCleaning::Step::kSwap) RETURN_IF_ERROR(log_->swap_cleaned(*cleaning, now));
      if (*step == LogCleaning::Step::kDone) break;
    }
    stats_ = cleaning->stats();
    log_->end_cleaning(*cleaning);
    return {};
  }
  void clean(WallMs now = kNow, CleanerLimits limits = {}) {
    const auto cleaned = try_clean(now, limits);
    ASSERT_TRUE(cleaned.ok()) << to_string(cleaned.error());
  }

  std::vector<record::Batch> batches() {
    std::vector<record::Batch> found;
    Offset from = log_->log_start_offset();
    while (from < log_->log_end_offset()) {
      const auto read = log_->read(from, log_->log_end_offset(), 1 << 20, true).value();
      if (read.records.empty()) break;
      record::BatchReader reader(read.records);
      for (auto batch = reader.next().value(); batch; batch = reader.next().value()) {
        EXPECT_TRUE(record::check_batch(batch->bytes.span()).ok());
        found.push_back(*batch);
      }
      from = read.next_offset;
    }
    EXPECT_EQ(from, log_->log_end_offset()) << "the log ends before its end";
    return found;
  }
  std::vector<Seen> seen() {
    std::vector<Seen> found;
    for (const record::Batch& batch : batches()) {
      if (batch.header().is_control()) continue;
      auto records = record::RecordIterator::open(batch).value();
      for (auto r = records.next().value(); r; r = records.next().value()) {
        const auto text = [](record::Bytes bytes) {
          return std::string(bytes.begin(), bytes.end());
        };
        found.push_back({r->offset.value, r->key ? text(*r->key) : "",
                         r->value ? std::optional(text(*r->value)) : std::nullopt, r->timestamp});
      }
    }
    return found;
  }
  int markers() {
    int count = 0;
    for (const record::Batch& batch : batches()) {
      count += batch.header().is_control() && batch.header().record_count() > 0;
    }
    return count;
  }

  CleaningStats stats_;
};

TEST_F(LogCleanTest, KeepsTheLastRecordOfEachKeyWhereItWas) {
  put({{"a", "1"}, {"b", "1"}, {"a", "2"}});
  put({{"c", "1"}});
  roll();
  put({{"b", "2"}});
  roll();
  put({{"a", "3"}});  // active: neither cleaned nor looked at
  clean();
  EXPECT_EQ(
      seen(),
      (std::vector<Seen>{
          {2, "a", "2", kNow + 2}, {3, "c", "1", kNow}, {4, "b", "2", kNow}, {5, "a", "3", kNow}}));
  EXPECT_EQ(log_->log_end_offset(), Offset{6});
  EXPECT_EQ(stats_.records_read, 5);
  EXPECT_EQ(stats_.records_kept, 3);
  const auto first = batches().front();
  EXPECT_EQ(first.header().base_offset(), Offset{0}) << "what a batch spans never changes";
  EXPECT_EQ(first.header().last_offset(), Offset{2});
}

TEST_F(LogCleanTest, GoesOnWhereItStoppedAndCompactsOldAgainstNew) {
  put({{"a", "1"}, {"b", "1"}});
  roll();
  clean();
  EXPECT_EQ(cleanable().first_dirty, Offset{2});
  EXPECT_FALSE(cleanable().due);
  put({{"a", "2"}});
  roll();
  EXPECT_EQ(cleanable().first_uncleanable, Offset{3});
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "b", "1", kNow + 1}, {2, "a", "2", kNow}}));
}

TEST_F(LogCleanTest, SurvivesACrashAndACleanStopAfterwards) {
  for (int i = 0; i < 20; ++i) {
    put({{"k" + std::to_string(i % 3), std::to_string(i)}});
    if (i % 4 == 3) roll();
  }
  clean();
  const auto before = seen();
  EXPECT_LE(before.size(), 8u);
  crash();
  EXPECT_EQ(seen(), before);
  restart_cleanly();
  EXPECT_EQ(seen(), before);
  EXPECT_EQ(log_->log_end_offset(), Offset{20});
}

TEST_F(LogCleanTest, MergesSegmentsUpToTheSizeOfOne) {
  for (int i = 0; i < 10; ++i) {
    put({{"k" + std::to_string(i), std::string(100, 'v')}});
    roll();
  }
  EXPECT_EQ(log_->segment_count(), 11u);
  options_.segment_bytes = 2000;
  log_->update_options(options_);
  clean();
  EXPECT_EQ(log_->segment_count(), 2u);
  EXPECT_EQ(seen().size(), 10u);
  EXPECT_EQ(dir_.names(".cleaned").size() + dir_.names(".swap").size(), 0u);
  ASSERT_TRUE(log_->apply_retention(log_->log_end_offset(), kNow).ok());
  EXPECT_EQ(dir_.names(".log").size(), 2u);
  EXPECT_EQ(dir_.names(".deleted").size(), 0u);
}

TEST(GroupForCleaning, KeepsBytesIndexesAndRelativeOffsetsInBounds) {
  using Source = LogCleaning::Source;
  const auto sizes = [](const std::vector<Source>& segments, std::uint64_t bytes,
                        std::uint64_t index_bytes) {
    std::vector<std::size_t> found;
    for (const auto& group : group_for_cleaning(segments, bytes, index_bytes)) {
      found.push_back(group.size());
    }
    return found;
  };
  const auto at = [](std::int64_t base, std::int64_t end, std::uint64_t bytes, std::size_t index) {
    return Source{Offset{base}, Offset{end}, bytes, index};
  };
  const std::vector<Source> three{at(0, 10, 40, 8), at(10, 20, 40, 8), at(20, 30, 40, 8)};
  EXPECT_EQ(sizes(three, 100, 1000), (std::vector<std::size_t>{2, 1}));
  EXPECT_EQ(sizes(three, 10, 1000), (std::vector<std::size_t>{1, 1, 1}));
  EXPECT_EQ(sizes(three, 1000, 16), (std::vector<std::size_t>{2, 1}));
  const std::int64_t far = std::int64_t{INT32_MAX} + 1;
  EXPECT_EQ(sizes({at(0, 10, 1, 0), at(10, far, 1, 0)}, 100, 100), (std::vector<std::size_t>{2}));
  EXPECT_EQ(sizes({at(0, 10, 1, 0), at(10, far + 1, 1, 0)}, 100, 100),
            (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(sizes({at(0, 10, 1, 0), at(10, far + 9, 0, 0)}, 100, 100),
            (std::vector<std::size_t>{2}));
}

TEST_F(LogCleanTest, KeepsTombstonesUntilTheirHorizonAndThenRemovesThem) {
  put({{"a", "1"}, {"a", std::nullopt}, {"b", "1"}});
  roll();
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "a", std::nullopt, kNow + 1}, {2, "b", "1", kNow + 2}}))
      << "with the timestamps that they had";
  ASSERT_TRUE(batches().front().header().has_delete_horizon());
  EXPECT_EQ(batches().front().header().base_timestamp(), kNow + kRetention);
  clean(kNow + kRetention - 1);
  EXPECT_EQ(seen().size(), 2u);
  EXPECT_EQ(batches().front().header().base_timestamp(), kNow + kRetention) << "not set twice";
  clean(kNow + kRetention);
  EXPECT_EQ(seen(), (std::vector<Seen>{{2, "b", "1", kNow + 2}}));
  EXPECT_EQ(log_->log_end_offset(), Offset{3});
}

TEST_F(LogCleanTest, DropsRecordsWithoutAKey) {
  options_.cleanup_compact = false;  // as before the topic was compacted
  log_->update_options(options_);
  record::BatchBuilder builder;
  builder.add(kNow, std::nullopt, as_bytes("x"));
  builder.add(kNow, as_bytes("a"), as_bytes("1"));
  put_batch(builder.build().value());
  options_.cleanup_compact = true;
  log_->update_options(options_);
  roll();
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "a", "1", kNow}}));
}

TEST_F(LogCleanTest, KeepsTheCodecOfABatchAndLeavesAWholeOneAlone) {
  for (const auto codec : {record::Compression::kGzip, record::Compression::kSnappy,
                           record::Compression::kLz4, record::Compression::kZstd}) {
    put({{"a", "1"}, {"b" + std::to_string(static_cast<int>(codec)), "1"}}, {.compression = codec});
    put({{"c" + std::to_string(static_cast<int>(codec)), "1"}}, {.compression = codec});
  }
  const auto before = batches();
  roll();
  clean();
  const auto after = batches();
  ASSERT_EQ(after.size(), 8u);
  EXPECT_EQ(seen().size(), 9u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(after[i].header().compression(), before[i].header().compression());
    EXPECT_EQ(after[i].bytes == before[i].bytes, i % 2 == 1 || i == 6) << i;
  }
}

TEST_F(LogCleanTest, KeepsLogAppendTime) {
  options_.timestamp_type = record::TimestampType::kLogAppendTime;
  log_->update_options(options_);
  put({{"a", "1"}, {"b", std::nullopt}});
  put({{"a", "2"}});
  roll();
  clean(kNow + 5);
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "b", std::nullopt, kNow}, {2, "a", "2", kNow}}));
}

TEST_F(LogCleanTest, AProducersSequenceSurvivesItsRecords) {
  put({{"a", "1"}}, of_producer(7, 0));
  put({{"a", "2"}, {"b", "1"}}, of_producer(7, 1));
  put({{"a", "3"}, {"b", "3"}});
  roll();
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{3, "a", "3", kNow}, {4, "b", "3", kNow + 1}}));
  const auto first = batches().front();
  EXPECT_EQ(first.header().base_offset(), Offset{1}) << "its last batch, empty";
  EXPECT_EQ(first.header().record_count(), 0);
  for (const std::string& name : dir_.names(".snapshot")) {
    ASSERT_TRUE(dir_.fs().remove(dir_.path() + "/" + name).ok());
  }
  open(false);
  const auto producer = log_->producers().producers().find(ProducerId{7});
  ASSERT_NE(producer, log_->producers().producers().end());
  EXPECT_EQ(producer->second.last_sequence(), 2);
  EXPECT_EQ(producer->second.batches.back().last_offset, Offset{2});
  clean();
  EXPECT_EQ(batches().front().header().record_count(), 0) << "as long as it is known";
}

TEST_F(LogCleanTest, RemovesAbortedTransactionsAndTheirMarkersLater) {
  put({{"a", "1"}});
  put({{"a", "aborted"}, {"b", "aborted"}}, of_producer(7, 0, true));
  put_marker(7, record::ControlType::kAbort);
  put({{"c", "1"}}, of_producer(8, 0, true));
  put_marker(8, record::ControlType::kCommit);
  put({{"c", "2"}});
  roll();
  put({{"d", "1"}}, of_producer(7, 2, true));  // 7 goes on: its old batch is not its last
  put({{"d", "1"}}, of_producer(8, 1, true));
  clean();
  auto found = seen();
  found.resize(2);
  EXPECT_EQ(found, (std::vector<Seen>{{0, "a", "1", kNow}, {6, "c", "2", kNow}}));
  EXPECT_EQ(markers(), 2) << "the transactions had records until now";
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{6}).value().size(), 1u);
  clean();
  EXPECT_EQ(markers(), 2) << "empty now: their horizon begins";
  EXPECT_TRUE(log_->aborted_transactions(Offset{0}, Offset{6}).value().empty());
  clean(kNow + kRetention);
  EXPECT_EQ(markers(), 0);
  EXPECT_EQ(log_->log_end_offset(), Offset{9});
}

TEST_F(LogCleanTest, AMarkerStaysAsLongAsTheLastBatchOfItsProducer) {
  put({{"a", "aborted"}}, of_producer(7, 0, true));
  put_marker(7, record::ControlType::kAbort);
  put({{"a", "1"}});
  roll();
  clean();
  clean();
  clean(kNow + 2 * kRetention);
  EXPECT_EQ(markers(), 1);
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{3}).value().size(), 1u);
  for (const std::string& name : dir_.names(".snapshot")) {
    ASSERT_TRUE(dir_.fs().remove(dir_.path() + "/" + name).ok());
  }
  open(false);
  EXPECT_EQ(log_->first_unstable_offset(Offset{3}), std::nullopt)
      << "an empty batch opens no transaction";
  EXPECT_EQ(log_->producers().producers().at(ProducerId{7}).last_sequence(), 0);
}

TEST_F(LogCleanTest, NeverLooksAtOrBehindAnOpenTransaction) {
  put({{"a", "1"}, {"a", "2"}});
  roll();
  put({{"a", "open"}}, of_producer(7, 0, true));
  put({{"b", "1"}});
  roll();
  put({{"b", "2"}});
  roll();
  EXPECT_EQ(cleanable().first_uncleanable, Offset{2});
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "a", "2", kNow + 1},
                                       {2, "a", "open", kNow},
                                       {3, "b", "1", kNow},
                                       {4, "b", "2", kNow}}));
  EXPECT_FALSE(cleanable().due);
}

TEST_F(LogCleanTest, AnAbortedTransactionIsKnownByAMarkerBehindWhatIsCleaned) {
  put({{"a", "1"}});
  put({{"a", "aborted"}}, of_producer(7, 0, true));
  roll();
  put_marker(7, record::ControlType::kAbort);
  put({{"x", "1"}}, of_producer(7, 1));
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{0, "a", "1", kNow}, {3, "x", "1", kNow}}));
  EXPECT_EQ(log_->aborted_transactions(Offset{0}, Offset{2}).value().size(), 1u);
}

TEST_F(LogCleanTest, AMapThatIsTooSmallMakesSeveralPasses) {
  for (int i = 0; i < 3000; ++i) put({{"key-" + std::to_string(i % 1500), std::to_string(i)}});
  roll();
  const CleanerLimits limits{.map_bytes = 20'000};  // some 750 keys
  int passes = 0;
  for (; cleanable().first_dirty < Offset{3000}; ++passes) clean(kNow, limits);
  EXPECT_GT(passes, 2);
  EXPECT_EQ(cleanable().first_dirty, Offset{3000});
  const auto found = seen();
  ASSERT_EQ(found.size(), 1500u);
  EXPECT_EQ(found.front().offset, 1500);
}

TEST_F(LogCleanTest, ABatchWithMoreKeysThanTheMapHoldsIsRefused) {
  Entries entries;
  for (int i = 0; i < 1000; ++i) entries.push_back({"key-" + std::to_string(i), "v"});
  put(entries);
  roll();
  const auto cleaned = try_clean(kNow, {.map_bytes = 10'000});
  ASSERT_FALSE(cleaned.ok());
  EXPECT_NE(cleaned.error().detail.find("log.cleaner.dedupe.buffer.size"), std::string::npos);
  EXPECT_EQ(seen().size(), 1000u);
}

TEST_F(LogCleanTest, WaitsForTheDirtyRatioOrTheMaximumLag) {
  for (int i = 0; i < 4; ++i) put({{"k" + std::to_string(i), std::string(200, 'v')}});
  roll();
  clean();
  put({{"k0", std::string(200, 'w')}});
  roll();
  EXPECT_NEAR(cleanable().dirty_ratio(), 0.2, 0.02);
  EXPECT_FALSE(cleanable().due);
  options_.min_cleanable_dirty_ratio = 0.1;
  log_->update_options(options_);
  EXPECT_TRUE(cleanable().due);
  options_.min_cleanable_dirty_ratio = 0.5;
  options_.max_compaction_lag_ms = 500;
  log_->update_options(options_);
  EXPECT_FALSE(cleanable(kNow + 500).due);
  EXPECT_TRUE(cleanable(kNow + 501).due);
  EXPECT_EQ(cleanable(kNow + 501).compaction_delay_ms, 1);
}

TEST_F(LogCleanTest, LeavesWhatIsYoungerThanTheMinimumLag) {
  put({{"a", "1"}, {"a", "2"}});
  roll();
  put_batch(batch_of({{"a", "3"}, {"a", "4"}}, {}, kNow + 1000));
  roll();
  options_.min_compaction_lag_ms = 500;
  log_->update_options(options_);
  EXPECT_EQ(cleanable(kNow + 1000).first_uncleanable, Offset{2});
  clean(kNow + 1000);
  EXPECT_EQ(seen().size(), 3u);
  EXPECT_EQ(cleanable(kNow + 2000).first_uncleanable, Offset{4});
}

TEST_F(LogCleanTest, NothingIsCleanableWithoutThePolicyOrBehindTheHighWatermark) {
  put({{"a", "1"}, {"a", "2"}});
  roll();
  EXPECT_FALSE(log_->cleanable(Offset{1}, kNow).value()->due);
  options_.cleanup_compact = false;
  log_->update_options(options_);
  EXPECT_EQ(log_->cleanable(stable(), kNow).value(), std::nullopt);
}

TEST_F(LogCleanTest, ACorruptBatchEndsThePassAndNothingChanges) {
  put({{"a", "1"}});
  put({{"a", "2"}});
  roll();
  const std::string name = "00000000000000000000.log";
  std::string bytes = dir_.read(name);
  bytes[65] ^= 1;
  dir_.write(name, bytes);
  files_.forget(dir_.path() + "/" + name);
  const auto cleaned = try_clean();
  ASSERT_FALSE(cleaned.ok());
  EXPECT_EQ(cleaned.code(), ErrorCode::kCorruptMessage);
  EXPECT_EQ(dir_.read(name), bytes);
  EXPECT_FALSE(log_->failed());
}

TEST_F(LogCleanTest, ATruncationBelowWhatIsCleanedEndsTheCleaning) {
  put({{"a", "1"}, {"b", "1"}});
  put({{"a", "2"}});
  roll();
  put({{"c", "1"}});
  auto cleaning = log_->begin_cleaning(cleanable(), {}, kNow).value();
  ASSERT_TRUE(log_->truncate_to(Offset{3}, kNow).ok());
  EXPECT_TRUE(log_->is_cleaning(*cleaning)) << "the active segment is none of its business";
  ASSERT_TRUE(log_->truncate_to(Offset{2}, kNow).ok());
  EXPECT_FALSE(log_->is_cleaning(*cleaning));
  while (true) {
    const auto step = cleaning->step(1 << 20);
    if (!step.ok() || *step == LogCleaning::Step::kSwap) break;
  }
  cleaning = nullptr;
  put({{"a", "3"}});
  roll();
  clean();
  EXPECT_EQ(seen(), (std::vector<Seen>{{1, "b", "1", kNow + 1}, {2, "a", "3", kNow}}));
}

TEST_F(LogCleanTest, RetentionWaitsForTheCleaning) {
  options_.cleanup_delete = true;
  options_.retention_ms = 10;
  log_->update_options(options_);
  put({{"a", "1"}, {"b", "1"}});
  roll();
  put_batch(batch_of({{"c", "1"}}, {}, kNow + 1000));
  auto cleaning = log_->begin_cleaning(cleanable(), {}, kNow).value();
  EXPECT_EQ(log_->apply_retention(Offset{3}, kNow + 1000)->segments_deleted, 0);
  log_->abandon_cleaning();
  EXPECT_EQ(log_->apply_retention(Offset{3}, kNow + 1000)->segments_deleted, 1);
  EXPECT_EQ(log_->log_start_offset(), Offset{2});
  EXPECT_EQ(cleanable(kNow + 1000).first_dirty, Offset{2});
}

TEST_F(LogCleanTest, AFollowerCopiesACleanedLogGapsIncluded) {
  for (int i = 0; i < 40; ++i) {
    put({{"k" + std::to_string(i % 5), std::string(30, 'v')}});
    if (i % 7 == 6) roll();
  }
  clean();
  testing::TempDir there;
  FileCache files(there.fs(), 8);
  LogOptions options = options_;
  options.segment_bytes = 300;
  const auto open_follower = [&](bool clean_stop) {
    return Log::open(files, there.path(), {"orders", 0}, options,
                     {.clean_shutdown = clean_stop, .now = kNow})
        .value();
  };
  auto follower = open_follower(true);
  while (follower->log_end_offset() < log_->log_end_offset()) {
    const auto read = log_->read(follower->log_end_offset(), log_->log_end_offset(), 150, true);
    ASSERT_TRUE(follower->append_as_follower(read->records, kNow).ok());
  }
  const auto here = seen();
  std::swap(log_, follower);
  EXPECT_EQ(seen(), here);
  EXPECT_GT(log_->segment_count(), 2u);
  log_ = nullptr;
  log_ = open_follower(false);  // as after kill -9, with no recovery point
  EXPECT_EQ(seen(), here);
  ASSERT_TRUE(log_->truncate_to(Offset{30}, kNow).ok());
  EXPECT_EQ(log_->log_end_offset(), Offset{30});
  log_ = std::move(follower);
}

}  // namespace
}  // namespace broker::storage
