#include "broker/replication/log_cleaner.h"

#include <algorithm>

#include "broker/common/log.h"
#include "broker/common/rng.h"
#include "broker/metadata/effective_configs.h"
#include "broker/replication/partition_table.h"
#include "broker/replication/strands.h"

namespace broker::replication {
namespace {

constexpr std::size_t kSmallestStep = 64 << 10;
constexpr std::size_t kLargestStep = 4 << 20;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

CleanerSettings cleaner_settings(const metadata::EffectiveConfigs& configs) {
  CleanerSettings settings;
  const auto integer = [&](const char* key) { return config::to_integer(*configs.broker(key)); };
  settings.enabled = config::to_boolean(*configs.broker("log.cleaner.enable"));
  settings.threads = static_cast<int>(integer("log.cleaner.threads"));
  settings.dedupe_buffer_bytes = static_cast<std::size_t>(
      std::max<std::int64_t>(0, integer("log.cleaner.dedupe.buffer.size")));
  settings.load_factor = std::clamp(
      config::to_double(*configs.broker("log.cleaner.io.buffer.load.factor")), 0.1, 0.99);
  settings.io_buffer_bytes = static_cast<std::size_t>(integer("log.cleaner.io.buffer.size"));
  settings.max_bytes_per_second =
      config::to_double(*configs.broker("log.cleaner.io.max.bytes.per.second"));
  settings.backoff = std::chrono::milliseconds(integer("log.cleaner.backoff.ms"));
  return settings;
}

struct LogCleaner::Survey {
  std::size_t left = 0;
  CleaningSurvey best;
};

LogCleaner::LogCleaner(io::Strand& main, std::vector<PartitionTable*> tables, std::uint64_t seed)
    : main_(main), tables_(std::move(tables)) {
  Rng rng(seed);
  hash_key_ = {rng.next(), rng.next()};
}

void LogCleaner::start() {
  last_run_ = main_.now();
  wake_after(settings_.backoff);
}

void LogCleaner::update(const CleanerSettings& settings) {
  const bool other_backoff = settings.backoff != settings_.backoff;
  settings_ = settings;
  if (!other_backoff || timer_ == io::kNoTimer) return;
  main_.cancel(std::exchange(timer_, io::kNoTimer));
  wake_after(settings_.backoff);
}

void LogCleaner::stop() {
  stopping_ = true;
  main_.cancel(std::exchange(timer_, io::kNoTimer));
}

CleanerMetrics LogCleaner::metrics() const {
  CleanerMetrics metrics = metrics_;
  metrics.ms_since_last_run =
      std::chrono::duration_cast<std::chrono::milliseconds>(main_.now() - last_run_).count();
  return metrics;
}

void LogCleaner::wake_after(Duration delay) {
  if (stopping_ || timer_ != io::kNoTimer) return;
  timer_ = main_.call_after(delay, [this] {
    timer_ = io::kNoTimer;
    survey();
  });
}

/// Which log is the filthiest? Each strand knows that of its own.
void LogCleaner::survey() {
  // backoff 0 must not become a busy loop.
  wake_after(std::max<Duration>(settings_.backoff, std::chrono::milliseconds(10)));
  if (!settings_.enabled || surveying_ || stopping_ || running_ >= settings_.threads) return;
  surveying_ = true;
  last_run_ = main_.now();
  auto survey = std::make_shared<Survey>();
  survey->left = tables_.size();
  for (PartitionTable* table : tables_) {
    run_on(table->strand(), [this, table, survey] {
      run_on(main_, [this, survey, part = table->survey_cleaning()] {
        CleaningSurvey& best = survey->best;
        best.max_dirty_ratio = std::max(best.max_dirty_ratio, part.max_dirty_ratio);
        best.max_compaction_delay_ms =
            std::max(best.max_compaction_delay_ms, part.max_compaction_delay_ms);
        if (part.filthiest && (!best.filthiest || part.filthiest->what.dirty_ratio() >
                                                      best.filthiest->what.dirty_ratio())) {
          best.filthiest = part.filthiest;
        }
        if (--survey->left == 0) on_surveyed(*survey);
      });
    });
  }
}

void LogCleaner::on_surveyed(const Survey& survey) {
  surveying_ = false;
  metrics_.max_dirty_percent = static_cast<int>(100 * survey.best.max_dirty_ratio);
  metrics_.max_compaction_delay_seconds = survey.best.max_compaction_delay_ms / 1000;
  if (stopping_ || !survey.best.filthiest) return;
  const CleaningCandidate& chosen = *survey.best.filthiest;
  ++running_;
  run_on(chosen.table->strand(), [this, chosen, pace = pace()] {
    chosen.table->clean(chosen.at, pace, [this, at = chosen.at](CleaningOutcome outcome) {
      run_on(main_, [this, at, outcome = std::move(outcome)] { on_cleaned(at, outcome); });
    });
  });
  if (running_ < settings_.threads) main_.post([this] { survey_again(); });
}

CleaningPace LogCleaner::pace() const {
  const auto threads = static_cast<std::size_t>(std::max(1, settings_.threads));
  CleaningPace pace;
  pace.limits.map_bytes = settings_.dedupe_buffer_bytes / threads;
  pace.limits.map_load_factor = settings_.load_factor;
  pace.limits.hash_key = hash_key_;
  pace.step_bytes = std::clamp(settings_.io_buffer_bytes, kSmallestStep, kLargestStep);
  // 0 or less would never end.
  pace.max_bytes_per_second =
      std::max(1.0, settings_.max_bytes_per_second / static_cast<double>(threads));
  return pace;
}

void LogCleaner::on_cleaned(const TopicIdPartition& at, const CleaningOutcome& outcome) {
  --running_;
  const storage::CleaningStats& stats = outcome.stats;
  if (outcome.given_up) return survey_again();
  if (!outcome.result.ok()) {
    log_error("replication", "a log cannot be compacted and is left as it is",
              {{"partition", to_string(at)}, {"reason", to_string(outcome.result.error())}});
    // A full disk, say: it would be chosen again at once.
    if (outcome.result.code() == ErrorCode::kKafkaStorageError) return;
    return survey_again();
  }
  ++metrics_.cleanings;
  metrics_.last_clean_seconds = seconds(outcome.took);
  metrics_.last_buffer_utilization_percent = 100 * stats.map_utilization;
  metrics_.last_recopy_percent =
      stats.bytes_read == 0
          ? 0
          : 100 * static_cast<double>(stats.bytes_written) / static_cast<double>(stats.bytes_read);
  log_info("replication", "compacted a log",
           {{"partition", to_string(at)},
            {"bytes_read", stats.bytes_read},
            {"bytes_kept", stats.bytes_written},
            {"records_read", stats.records_read},
            {"records_kept", stats.records_kept},
            {"seconds", metrics_.last_clean_seconds}});
  survey_again();
}

void LogCleaner::survey_again() {
  if (!stopping_) survey();
}

}  // namespace broker::replication
