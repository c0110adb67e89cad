#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "broker/io/strand.h"
#include "broker/replication/cleaning_run.h"
#include "broker/replication/metrics.h"
#include "broker/replication/types.h"

namespace broker::metadata {
class EffectiveConfigs;
}

namespace broker::replication {

class PartitionTable;

/// log.cleaner.*, as in force.
struct CleanerSettings {
  bool enabled = true;
  int threads = 1;                               // cleanings at a time; 0: none begins
  std::size_t dedupe_buffer_bytes = 128u << 20;  // of all cleanings together
  double load_factor = 0.9;
  std::size_t io_buffer_bytes = 512 << 10;
  double max_bytes_per_second = std::numeric_limits<double>::infinity();
  std::chrono::milliseconds backoff{15'000};
};
CleanerSettings cleaner_settings(const metadata::EffectiveConfigs& configs);

/// Chooses which log is compacted next, as Kafka does: of those that are due, the one with the
/// largest dirty ratio. Asks the strands every log.cleaner.backoff.ms, and at once after a
/// cleaning. A log whose content cannot be compacted is left alone until the broker starts again,
/// one that the disk refused is tried again later. Lives on main; the tables outlive it.
class LogCleaner {
 public:
  /// `seed`: of the secret that keys are hashed with.
  LogCleaner(io::Strand& main, std::vector<PartitionTable*> tables, std::uint64_t seed);

  void start();
  void update(const CleanerSettings& settings);
  /// Nothing begins any more; what runs is given up by its table.
  void stop();
  CleanerMetrics metrics() const;

 private:
  struct Survey;
  void wake_after(Duration delay);
  void survey();
  void survey_again();
  void on_surveyed(const Survey& survey);
  void on_cleaned(const TopicIdPartition& at, const CleaningOutcome& outcome);
  CleaningPace pace() const;

  io::Strand& main_;
  const std::vector<PartitionTable*> tables_;
  std::array<std::uint64_t, 2> hash_key_;
  CleanerSettings settings_;
  CleanerMetrics metrics_;
  Instant last_run_{};
  int running_ = 0;
  bool surveying_ = false;
  bool stopping_ = false;
  io::TimerId timer_ = io::kNoTimer;
};

}  // namespace broker::replication
