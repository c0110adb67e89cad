// A directory of logs on a simulated disk, stopped at every single operation that changes the disk,
// by a kill or by a power failure, and opened again.
#include <gtest/gtest.h>

#include <cstdlib>

#include "broker/common/defect.h"
#include "broker/common/log_sink.h"
#include "broker/io/sim/disk.h"
#include "broker/record/batch_builder.h"
#include "broker/storage/log_manager.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;

constexpr const char* kDirectory = "/data";
constexpr int kOperations = 60;  // of one script

struct WrittenBatch {
  Offset base, end;
  LeaderEpoch epoch;
  ProducerId producer;
  std::int32_t last_sequence;
  std::int64_t id;  // as the records' timestamp: no two batches are equal

  bool operator==(const WrittenBatch&) const = default;
};
using History = std::vector<WrittenBatch>;

std::string show(const History& history) {
  std::string text;
  for (const WrittenBatch& b : history) {
    text += " " + std::to_string(b.base.value) + "@" + std::to_string(b.epoch.value) + "#" +
            std::to_string(b.id);
  }
  return text;
}

/// What must and what may be in a log after a crash.
struct Expectation {
  History now;
  std::vector<History> before;  // states since the last crash: a truncation may be undone
  Offset synced{0};             // below it nothing may be missing
  Offset start{0};
  Offset highest_start{0};  // ever: what was deleted and is back because of a crash has no epoch

  Offset end() const { return now.empty() ? start : now.back().end; }
  void truncate(Offset to) {
    before.push_back(now);
    while (!now.empty() && now.back().end > to) now.pop_back();
    synced = std::min(synced, end());
  }
};

class CrashWorld {
 public:
  explicit CrashWorld(std::uint64_t seed) : scheduler_(seed), rng_(seed * 7919) {
    boot();
    CHECK(fs_->create_directories(kDirectory).ok());
    CHECK(fs_->sync_directory("/").ok());
    CHECK(write_meta_properties(*fs_, kDirectory, {"cluster", BrokerId{1}}).ok());
  }

  /// Runs the script until the disk was changed `crash_at` times, crashes, opens again, and checks.
  /// Returns whether the crash came.
  bool run(std::uint64_t crash_at, bool power) {
    open_manager();
    if (failure_) return false;
    std::uint64_t count = 0;
    disk_.on_operation([&](io::sim::DiskOperation, const std::string&) {
      if (++count == crash_at) life_->alive = false;
    });
    for (int i = 0; i < kOperations && life_->alive; ++i) step();
    if (life_->alive && rng_.below(2) == 0) stop_cleanly();
    const bool crashed = !life_->alive;
    disk_.on_operation(nullptr);
    life_->alive = false;
    manager_.reset();
    if (power) disk_.lose_power();
    boot();
    open_manager();
    check(power);
    return crashed;
  }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  void expect(bool good, const std::string& what) {
    if (!good && !failure_) failure_ = what;
  }

  static LogOptions options(const TopicPartition&) {
    LogOptions options;
    options.segment_bytes = 1500;
    options.index_interval_bytes = 100;
    options.refer_bytes = 1;
    options.file_delete_delay_ms = 0;
    return options;
  }

  void boot() {
    life_ = std::make_shared<io::sim::Life>();
    fs_ = disk_.mount(life_);
  }

  void open_manager() {
    manager_.reset();
    auto opened = LogManager::open(*fs_, {.directory = kDirectory, .seed = rng_.next()});
    if (!opened.ok()) return expect(false, to_string(opened.error()));
    manager_ = std::move(*opened);
    const auto failures = manager_->load(options, kNow);
    if (!failures.ok()) return expect(false, to_string(failures.error()));
    for (const auto& f : *failures) expect(false, to_string(f.error));
  }

  void step() {
    const TopicPartition partition{"orders", static_cast<std::int32_t>(rng_.below(2))};
    Expectation& expected = expected_[partition];
    auto log = manager_->find(partition);
    if (log == nullptr) {
      const auto created = manager_->create(partition, {1, 1}, options(partition), kNow);
      if (!created.ok()) return;
      log = *created;
    }
    switch (rng_.below(12)) {
      case 0:
        return truncate(*log, expected);
      case 1:
        return flush(*log, expected);
      case 2:
        return checkpoint();
      case 3:
        return delete_records(*log, expected);
      case 4:
        ++epoch_;
        return log->assign_epoch_start(LeaderEpoch{epoch_});
      default:
        return append(*log, expected);
    }
  }

  void append(Log& log, Expectation& expected) {
    const int records = 1 + static_cast<int>(rng_.below(3));
    const std::int64_t id = next_id_++;
    const ProducerId producer{static_cast<std::int64_t>(1 + rng_.below(2))};
    const bool idempotent = rng_.below(2) == 0;
    const std::int32_t sequence = idempotent ? next_sequence(log, producer) : record::kNoSequence;
    record::BatchBuilder builder(
        {.producer_id = idempotent ? producer : ProducerId{record::kNoProducerId},
         .producer_epoch = ProducerEpoch{idempotent ? std::int16_t{0} : record::kNoProducerEpoch},
         .base_sequence = sequence});
    for (int i = 0; i < records; ++i) {
      builder.add(kNow + id, "key", std::string(20 + rng_.below(300), 'v'));
    }
    expected.before.push_back(expected.now);
    const Offset base = log.log_end_offset();
    const auto appended = log.append_as_leader(builder.build().value(), LeaderEpoch{epoch_},
                                               AppendOrigin::kClient, kNow);
    // Not known whether it is there when the crash came in it.
    expected.now.push_back({base, base + records, LeaderEpoch{epoch_},
                            idempotent ? producer : ProducerId{record::kNoProducerId},
                            idempotent ? sequence + records - 1 : record::kNoSequence, id});
    if (life_->alive && !appended.ok()) expect(false, to_string(appended.error()));
    // A producer that a truncation made forgotten begins at 0 again, and may come to sequences of
    // its first life that the log still knows.
    if (appended.ok() && appended->duplicate) expected.now.pop_back();
  }

  static std::int32_t next_sequence(const Log& log, ProducerId producer) {
    const auto& known = log.producers().producers();
    const auto it = known.find(producer);
    return it == known.end() ? 0 : it->second.last_sequence() + 1;
  }

  void flush(Log& log, Expectation& expected) {
    if (log.flush(kNow).ok()) expected.synced = expected.end();
  }

  /// As a follower does, with the checkpoint that Log::truncate_to asks for.
  void truncate(Log& log, Expectation& expected) {
    if (expected.now.empty()) return;
    const std::uint64_t back = rng_.below(std::min<std::size_t>(expected.now.size(), 6));
    const Offset to = expected.now[expected.now.size() - 1 - back].base;
    if (to < log.log_start_offset()) return;
    // What somebody sends from is not shortened but replaced.
    if (rng_.below(2) == 0)
      (void)log.read(to, log.log_end_offset(), 1 << 20, true, ReadAs::kFileRange);
    expected.truncate(to);
    if (log.truncate_to(to, kNow).ok()) checkpoint();
  }

  void delete_records(Log& log, Expectation& expected) {
    if (expected.now.empty()) return;
    const Offset to = expected.now[rng_.below(expected.now.size())].base;
    if (to > expected.synced) return;  // nothing is deleted above the high watermark
    expected.start = std::max(expected.start, to);
    expected.highest_start = std::max(expected.highest_start, to);
    if (!log.set_log_start_offset(to).ok() || !log.apply_retention(to, kNow).ok()) return;
    expected.start = log.log_start_offset();
    if (expected.start < to) expected.start = to;
  }

  void checkpoint() {
    std::vector<LogPositions> positions;
    for (const auto& [partition, log] : manager_->logs()) {
      positions.push_back(log->positions(Offset{0}));
    }
    (void)manager_->checkpoint(positions);
  }

  void stop_cleanly() {
    if (!manager_->shut_down(BrokerEpoch{1}, kNow).ok()) return;
    for (auto& [partition, expected] : expected_) expected.synced = expected.end();
  }

  void check(bool power) {
    if (failure_) return;
    for (auto& [partition, expected] : expected_) {
      const auto log = manager_->find(partition);
      if (log == nullptr) {
        expect(expected.synced == Offset{0}, to_string(partition) + " is gone");
        expected = {};
        continue;
      }
      History found = read_all(*log);
      check_content(*log, expected, found, power);
      check_what_is_derived(*log, expected, found);
      expected = {.now = std::move(found),
                  .before = {},
                  .synced = std::min(expected.synced, log->log_end_offset()),
                  .start = log->log_start_offset(),
                  .highest_start = expected.highest_start};
    }
  }

  History read_all(Log& log) {
    History found;
    Offset from = log.log_start_offset();
    while (from < log.log_end_offset()) {
      const auto read = log.read(from, log.log_end_offset(), 1 << 20, true);
      if (!read.ok()) {
        expect(false, "read at " + std::to_string(from.value) + ": " + to_string(read.error()));
        break;
      }
      if (read->records.empty()) break;
      record::BatchReader reader(read->records);
      for (auto batch = reader.next().value(); batch; batch = reader.next().value()) {
        expect(record::check_batch(batch->bytes.span()).ok(), "a corrupt batch is served");
        const auto header = batch->header();
        found.push_back({header.base_offset(), header.next_offset(), header.leader_epoch(),
                         header.producer_id(), header.last_sequence(),
                         header.max_timestamp() - kNow});
      }
      from = read->next_offset;
    }
    expect(from == log.log_end_offset(), "the log ends before its end");
    return found;
  }

  /// Of the head of `whole`; what is deleted there may be back in `part`.
  static bool is_prefix(History part, const History& whole) {
    while (!part.empty() && !whole.empty() && part.front().base < whole.front().base) {
      part.erase(part.begin());
    }
    if (part.empty()) return true;
    const auto begin = std::find(whole.begin(), whole.end(), part.front());
    return static_cast<std::size_t>(whole.end() - begin) >= part.size() &&
           std::equal(part.begin(), part.end(), begin);
  }

  void check_content(Log& log, const Expectation& expected, const History& found, bool power) {
    const std::string there_is = to_string(log.partition()) + "; there is" + show(found) +
                                 "\n  there was" + show(expected.now);
    for (std::size_t i = 1; i < found.size(); ++i) {
      expect(found[i].base == found[i - 1].end, "a hole in " + there_is);
    }
    expect(log.log_end_offset() >= expected.synced, "synced and lost in " + there_is);
    for (const WrittenBatch& batch : expected.now) {
      if (batch.end > expected.synced || batch.base < log.log_start_offset()) continue;
      expect(std::find(found.begin(), found.end(), batch) != found.end(),
             std::to_string(batch.base.value) + " was synced in " + there_is);
    }
    bool known = is_prefix(found, expected.now);
    for (const History& state : expected.before) known = known || is_prefix(found, state);
    expect(known, "it never was like that: " + there_is);
    if (!power && !expected.before.empty()) {  // only the operation under way can be missing
      const History& last = expected.before.back();
      const Offset before = last.empty() ? expected.start : last.back().end;
      expect(log.log_end_offset() >= std::min(before, expected.end()), "lost in " + there_is);
    }
    expect(log.log_start_offset() <= expected.start, "a log start that nobody asked for");
  }

  void check_what_is_derived(const Log& log, const Expectation& expected, const History& found) {
    std::map<ProducerId, std::int32_t> sequences;
    for (const WrittenBatch& batch : found) {
      if (batch.base < expected.highest_start) continue;
      expect(log.epoch_for_offset(batch.base) == batch.epoch,
             "epoch of offset " + std::to_string(batch.base.value) + " in" + show(found));
      if (batch.producer.value >= 0) sequences[batch.producer] = batch.last_sequence;
    }
    const auto& known = log.producers().producers();
    for (const auto& [producer, sequence] : sequences) {
      const auto it = known.find(producer);
      expect(it != known.end() && it->second.last_sequence() == sequence,
             "the last sequence of a producer is not the one in" + show(found));
    }
  }

  io::sim::Scheduler scheduler_;
  Rng rng_;
  io::sim::Disk disk_{scheduler_};
  std::shared_ptr<io::sim::Life> life_;
  std::unique_ptr<io::FileSystem> fs_;
  std::unique_ptr<LogManager> manager_;
  std::map<TopicPartition, Expectation> expected_;
  std::int32_t epoch_ = 1;
  std::int64_t next_id_ = 1;
  std::optional<std::string> failure_;
};

/// Crashes the seed's script at each of its operations; from there on three more times at random.
std::optional<std::string> crash_everywhere(std::uint64_t seed, bool power) {
  Rng rng(seed);
  for (std::uint64_t crash_at = 1;; ++crash_at) {
    CrashWorld world(seed);
    bool crashed = world.run(crash_at, power);
    for (int i = 0; i < 3 && crashed && !world.failure(); ++i) {
      world.run(1 + rng.below(200), power);
    }
    if (world.failure()) {
      return (power ? "power failure, seed " : "kill, seed ") + std::to_string(seed) +
             ", operation " + std::to_string(crash_at) + ": " + *world.failure();
    }
    if (!crashed) return std::nullopt;
  }
}

class CrashTest : public ::testing::Test {
 protected:
  // A dying process complains of its disk thousands of times.
  CrashTest() {
    set_log_sink([](LogLevel, std::string_view, std::string_view) {});
  }
  ~CrashTest() override { set_log_sink(nullptr); }

  /// 1 to `count`, more with $SIM_SEEDS, or $SIM_SEED alone.
  static void expect_survival(std::uint64_t count, bool power) {
    std::uint64_t first = 1;
    if (const char* seeds = std::getenv("SIM_SEEDS")) count = std::strtoull(seeds, nullptr, 10);
    if (const char* seed = std::getenv("SIM_SEED"))
      count = first = std::strtoull(seed, nullptr, 10);
    for (std::uint64_t seed = first; seed <= count && !HasFailure(); ++seed) {
      if (const auto failure = crash_everywhere(seed, power)) ADD_FAILURE() << *failure;
    }
  }
};

TEST_F(CrashTest, WhatWasSyncedSurvivesAPowerFailureAtAnyMoment) { expect_survival(3, true); }

TEST_F(CrashTest, WhatWasWrittenSurvivesAKillAtAnyMoment) { expect_survival(2, false); }

#ifdef MILLRACE_DEFECTS
TEST_F(CrashTest, EveryDefectOfALogIsFound) {
  for (const Defect defect :
       {Defect::kProducersForgotten, Defect::kRecoveryTrustsTheTail, Defect::kRecoveryPointTooHigh,
        Defect::kTruncationNotSynced, Defect::kRolledIndexTrusted, Defect::kHolesAccepted,
        Defect::kSegmentsDroppedFirstToLast, Defect::kFlushWithoutSync}) {
    g_defect = defect;
    bool found = false;
    for (std::uint64_t seed = 1; seed <= 20 && !found; ++seed) {
      found = crash_everywhere(seed, true) || crash_everywhere(seed, false);
    }
    g_defect = Defect::kNone;
    EXPECT_TRUE(found) << "defect " << static_cast<int>(defect);
  }
}
#endif

}  // namespace
}  // namespace broker::storage
