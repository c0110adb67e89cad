// A compacted log on a simulated disk, stopped at every single operation of appends and cleanings,
// by a kill or by a power failure, and opened again: what its keys stand for is never lost.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "broker/common/log_sink.h"
#include "broker/io/sim/disk.h"
#include "broker/record/batch_builder.h"
#include "broker/record/record_iterator.h"
#include "broker/storage/log_manager.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;

constexpr const char* kTables = "/tables";
const TopicPartition kPartition{"table", 0};

struct Written {
  std::string key;
  std::optional<std::string> value;

  bool operator==(const Written&) const = default;
};
using Table = std::map<std::string, std::string>;

class CleanWorld {
 public:
  explicit CleanWorld(std::uint64_t seed) : scheduler_(seed), rng_(seed * 104729) {
    boot();
    CHECK(fs_->create_directories(kTables).ok());
    CHECK(fs_->sync_directory("/").ok());
    CHECK(write_meta_properties(*fs_, kTables, {"cluster", BrokerId{1}}).ok());
  }

  /// Runs until the disk was changed `crash_at` times, crashes, opens again, and checks. Returns
  /// whether the crash came.
  bool run(std::uint64_t crash_at, bool power) {
    open();
    if (failure_) return false;
    std::uint64_t count = 0;
    disk_.on_operation([&](io::sim::DiskOperation, const std::string&) {
      if (++count == crash_at) life_->alive = false;
    });
    for (int i = 0; i < 4 && life_->alive; ++i) {
      append();
      if (rng_.below(3) == 0) flush();
      clean();
      if (rng_.below(2) == 0) checkpoint();
    }
    const bool crashed = !life_->alive;
    disk_.on_operation(nullptr);
    life_->alive = false;
    log_.reset();
    manager_.reset();
    if (power) disk_.lose_power();
    boot();
    open();
    check(power);
    return crashed;
  }
  const std::optional<std::string>& failure() const { return failure_; }
  std::size_t cleanings() const { return cleanings_; }

 private:
  void expect(bool good, const std::string& what) {
    if (!good && !failure_) failure_ = what;
  }
  static LogOptions options() {
    LogOptions options;
    options.segment_bytes = 700;
    options.index_interval_bytes = 100;
    options.file_delete_delay_ms = 0;
    options.cleanup_delete = false;
    options.cleanup_compact = true;
    options.delete_retention_ms = 0;
    return options;
  }

  void boot() {
    life_ = std::make_shared<io::sim::Life>();
    fs_ = disk_.mount(life_);
  }

  void open() {
    manager_.reset();
    auto opened = LogManager::open(*fs_, {.directory = kTables, .seed = rng_.next()});
    if (!opened.ok()) return expect(false, to_string(opened.error()));
    manager_ = std::move(*opened);
    const auto failures = manager_->load([](const TopicPartition&) { return options(); }, kNow);
    if (!failures.ok()) return expect(false, to_string(failures.error()));
    for (const auto& f : *failures) expect(false, to_string(f.error));
    log_ = manager_->find(kPartition);
    if (log_ || failure_) return;
    const auto created = manager_->create(kPartition, {1, 1}, options(), kNow);
    if (created.ok()) log_ = *created;
    expect(created.ok() && synced_ == Offset{0}, "the log is gone");
  }

  void append() {
    for (int i = 0; i < 12 && life_->alive; ++i) {
      const ProducerId producer{static_cast<std::int64_t>(1 + rng_.below(2))};
      const auto known = log_->producers().producers().find(producer);
      const std::int32_t sequence =
          known == log_->producers().producers().end() ? 0 : known->second.last_sequence() + 1;
      record::BatchBuilder builder(
          {.producer_id = producer, .producer_epoch = ProducerEpoch{0}, .base_sequence = sequence});
      const auto records = 1 + rng_.below(3);
      for (std::uint64_t r = 0; r < records; ++r) {
        Written written{"k" + std::to_string(rng_.below(6)), {}};
        if (rng_.below(4) > 0)
          written.value = std::to_string(written_.size()) + std::string(30, 'v');
        builder.add(kNow, record::as_bytes(written.key),
                    written.value ? std::optional(record::as_bytes(*written.value)) : std::nullopt);
        written_.push_back(std::move(written));
      }
      const auto appended = log_->append_as_leader(builder.build().value(), LeaderEpoch{1},
                                                   AppendOrigin::kClient, kNow);
      if (life_->alive && !appended.ok()) expect(false, to_string(appended.error()));
    }
  }

  void flush() {
    if (log_->flush(kNow).ok()) synced_ = log_->log_end_offset();
  }
  void checkpoint() {
    const LogPositions positions = log_->positions(Offset{0});
    (void)manager_->checkpoint({&positions, 1});
  }

  void clean() {
    if (!life_->alive) return;
    const auto what = log_->cleanable(log_->log_end_offset(), kNow);
    if (!what.ok() || !*what || (*what)->dirty_bytes == 0) return;
    auto cleaning = log_->begin_cleaning(**what, {}, kNow);
    if (!cleaning.ok()) return;
    while (true) {
      const auto step = (*cleaning)->step(200);
      if (!step.ok()) {
        expect(!life_->alive, to_string(step.error()));
        return log_->abandon_cleaning();
      }
      if (*step == LogCleaning::Step::kSwap && !log_->swap_cleaned(**cleaning, kNow).ok()) return;
      if (*step == LogCleaning::Step::kDone) break;
    }
    if (!log_->is_cleaning(**cleaning)) return;
    log_->end_cleaning(**cleaning);
    (void)log_->apply_retention(log_->log_end_offset(), kNow);
    ++cleanings_;
  }

  void check(bool power) {
    if (failure_) return;
    const auto end = static_cast<std::size_t>(log_->log_end_offset().value);
    if (power) {
      expect(log_->log_end_offset() >= synced_, "what was synced is lost");
    } else {
      expect(end + 3 >= written_.size(), "what was written is lost");
    }
    expect(end <= written_.size(), "more than was written");
    if (failure_) return;
    written_.resize(end);  // what comes next is written there
    synced_ = std::min(synced_, log_->log_end_offset());
    Table expected;
    for (const Written& w : written_) note(expected, w);
    Table found;
    read_all([&](std::size_t offset, const Written& w) {
      expect(offset < end && w == written_[offset],
             "another record at offset " + std::to_string(offset));
      note(found, w);
    });
    expect(found == expected, "the table is not what was written");
    for (const auto& name : fs_->list(std::string(kTables) + "/table-0").value()) {
      expect(!name.ends_with(".swap"), "an unfinished swap: " + name);
    }
  }
  static void note(Table& table, const Written& written) {
    if (written.value)
      table[written.key] = *written.value;
    else
      table.erase(written.key);
  }

  template <class F>
  void read_all(const F& visit) {
    Offset from = log_->log_start_offset();
    std::int64_t last = -1;
    while (from < log_->log_end_offset()) {
      const auto read = log_->read(from, log_->log_end_offset(), 1 << 20, true);
      if (!read.ok() || read->records.empty()) return expect(false, "the log cannot be read");
      record::BatchReader reader(read->records);
      for (auto batch = reader.next().value(); batch; batch = reader.next().value()) {
        expect(record::check_batch(batch->bytes.span()).ok(), "a corrupt batch is served");
        auto records = record::RecordIterator::open(*batch).value();
        for (auto r = records.next().value(); r; r = records.next().value()) {
          expect(r->offset.value > last, "offsets out of order");
          last = r->offset.value;
          const auto text = [](record::Bytes b) { return std::string(b.begin(), b.end()); };
          visit(static_cast<std::size_t>(last),
                Written{text(*r->key), r->value ? std::optional(text(*r->value)) : std::nullopt});
        }
      }
      from = read->next_offset;
    }
  }

  io::sim::Scheduler scheduler_;
  Rng rng_;
  io::sim::Disk disk_{scheduler_};
  std::shared_ptr<io::sim::Life> life_;
  std::unique_ptr<io::FileSystem> fs_;
  std::unique_ptr<LogManager> manager_;
  std::shared_ptr<Log> log_;
  std::vector<Written> written_;  // by offset
  Offset synced_{0};
  std::size_t cleanings_ = 0;
  std::optional<std::string> failure_;
};

/// Crashes the seed's script at each of its operations; from there on three more times at random.
std::optional<std::string> crash_cleaning_everywhere(std::uint64_t seed, bool power) {
  Rng rng(seed);
  std::size_t cleanings = 0;
  for (std::uint64_t crash_at = 1;; ++crash_at) {
    CleanWorld world(seed);
    bool crashed = world.run(crash_at, power);
    for (int i = 0; i < 3 && crashed && !world.failure(); ++i) {
      world.run(1 + rng.below(300), power);
    }
    cleanings += world.cleanings();
    if (world.failure()) {
      return (power ? "power failure, seed " : "kill, seed ") + std::to_string(seed) +
             ", operation " + std::to_string(crash_at) + ": " + *world.failure();
    }
    if (!crashed)
      return cleanings < crash_at ? std::optional<std::string>("too few cleanings") : std::nullopt;
  }
}

class CleanCrashTest : public ::testing::Test {
 protected:
  CleanCrashTest() {
    set_log_sink([](LogLevel, std::string_view, std::string_view) {});
  }
  ~CleanCrashTest() override { set_log_sink(nullptr); }

  /// 1 to `count`, more with $SIM_SEEDS, or $SIM_SEED alone.
  static void expect_survival(std::uint64_t count, bool power) {
    std::uint64_t first = 1;
    if (const char* seeds = std::getenv("SIM_SEEDS")) count = std::strtoull(seeds, nullptr, 10);
    if (const char* seed = std::getenv("SIM_SEED"))
      count = first = std::strtoull(seed, nullptr, 10);
    for (std::uint64_t seed = first; seed <= count && !HasFailure(); ++seed) {
      if (const auto failure = crash_cleaning_everywhere(seed, power)) ADD_FAILURE() << *failure;
    }
  }
};

TEST_F(CleanCrashTest, APowerFailureAtAnyMomentOfACleaningLosesNoKey) { expect_survival(2, true); }

TEST_F(CleanCrashTest, AKillAtAnyMomentOfACleaningLosesNoKey) { expect_survival(2, false); }

}  // namespace
}  // namespace broker::storage
