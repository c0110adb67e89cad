#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/replication/partition.h"
#include "broker/replication/replica_fetchers.h"
#include "broker/replication/replication_quota.h"

namespace broker::replication {

class CleaningRun;
class PartitionTable;
struct CleaningOutcome;
struct CleaningPace;

/// A log that is due for compaction.
struct CleaningCandidate {
  PartitionTable* table = nullptr;
  TopicIdPartition at;
  storage::Cleanable what;
};
struct CleaningSurvey {
  std::optional<CleaningCandidate> filthiest;  // of those that are due
  double max_dirty_ratio = 0;                  // of all compacted logs
  std::int64_t max_compaction_delay_ms = 0;
};

/// All partitions of one strand, with their timers. Lives on that strand.
class PartitionTable final : public PartitionHost {
 public:
  struct Options {
    BrokerId node;
    std::chrono::milliseconds retention_check_interval{300'000};
    std::chrono::milliseconds flush_check_interval{1'000};
    std::chrono::milliseconds waiter_check_interval{100};
    std::chrono::milliseconds isr_check_interval{15'000};  // half of replica.lag.time.max.ms
    std::chrono::milliseconds expansion_interval{250};     // while an ISR is short
    bool rack_aware_reads = false;
    ReplicaFetchers::Options fetchers;
  };
  /// Of this broker; shared by all strands.
  struct Quotas {
    ReplicationQuota leader;
    ReplicationQuota follower;
  };
  /// What only main can do; called on this strand, calls back on it.
  struct Main {
    /// Writes the directory's checkpoints with these positions.
    std::function<void(storage::LogPositions, UniqueFunction<void(const Result<void>&)>)>
        checkpoint;
    std::function<void(const PartitionKey&, IsrChange, UniqueFunction<void(IsrDecision)>)>
        propose_isr;
    /// Null: transactions are refused.
    std::function<TransactionVerifier*()> verifier;
  };
  /// `peers` null: nobody is followed. `quotas` outlive the table.
  PartitionTable(Options options, io::Strand& strand, io::WorkerPool& workers, Quotas& quotas,
                 Main main, PeerConnector* peers);
  ~PartitionTable() override;

  io::Strand& strand() { return strand_; }
  Quotas& quotas() { return quotas_; }
  /// Begins checking retention.
  void start();

  Partition* find(const TopicId& topic, std::int32_t partition) const;
  Partition& find_or_create(const TopicIdPartition& at);
  /// Stops the partition and forgets it.
  void remove(const TopicIdPartition& at, ErrorCode reason);
  const std::map<std::pair<TopicId, std::int32_t>, std::shared_ptr<Partition>>& partitions() const {
    return partitions_;
  }

  const metadata::ImagePtr& image() const { return image_; }
  void set_image(metadata::ImagePtr image);
  BrokerEpoch broker_epoch() const { return broker_epoch_; }
  void set_broker_epoch(BrokerEpoch epoch);

  /// The in-sync replica in the reader's rack that has `offset` (KIP-392). nullopt: read here.
  std::optional<BrokerId> preferred_replica(const Partition& partition, const std::string& rack,
                                            Offset offset) const;
  /// To be called after a change of the partition's role.
  void on_role(Partition& partition);
  /// To be called after a change of the partition's settings.
  void on_settings(const Partition& partition);
  /// Takes the partitions offline whose logs have failed.
  void check_logs();
  /// Makes the partition's recovery point durable. `done` runs later on this strand.
  void checkpoint(const Partition& partition, UniqueFunction<void(const Result<void>&)> done);

  CleaningSurvey survey_cleaning();
  /// Compacts one log. `done` runs on this strand.
  void clean(const TopicIdPartition& at, const CleaningPace& pace,
             UniqueFunction<void(CleaningOutcome)> done);

  void run_flush(storage::FlushJob job, Done done) override;
  void on_waiting(const Partition& partition) override;
  std::optional<BrokerEpoch> eligible_epoch(BrokerId broker) const override;
  void propose_isr(const Partition& partition, std::uint64_t number, IsrChange change) override;
  void verify_transaction(const Partition& partition, TransactionCheck check,
                          Verified done) override;
  Instant now() const override { return strand_.now(); }
  WallMs wall_now() const override { return strand_.wall_now(); }
  void on_follower_flushed(Partition& partition) override;

  void collect(MetricsSnapshot& into) const;
  std::vector<storage::LogPositions> positions() const;
  /// Stops all partitions and timers; `idle` runs once no flush and no cleaning is under way.
  void shut_down(ErrorCode reason, Task idle);

 private:
  struct Topic {
    std::shared_ptr<TopicCounters> counters = std::make_shared<TopicCounters>();
    std::size_t partitions = 0;
  };
  using Key = std::pair<TopicId, std::int32_t>;

  void check_retention();
  void check_waiters();
  void check_flushes();
  void check_isrs();
  void try_expansions();

  const Options options_;
  io::Strand& strand_;
  io::WorkerPool& workers_;
  Quotas& quotas_;
  const Main main_;
  std::unique_ptr<ReplicaFetchers> fetchers_;  // null: nobody is followed

  std::map<Key, std::shared_ptr<Partition>> partitions_;
  std::map<std::string, Topic> topics_;
  metadata::ImagePtr image_ = metadata::MetadataImage::empty();
  BrokerEpoch broker_epoch_{-1};
  std::set<Key> waiting_;    // partitions that may have waiters to expire
  std::set<Key> flushing_;   // partitions with a finite flush.ms
  std::set<Key> short_isr_;  // led here, perhaps with replicas to let in
  io::TimerId retention_timer_ = io::kNoTimer;
  io::TimerId waiter_timer_ = io::kNoTimer;
  io::TimerId flush_timer_ = io::kNoTimer;
  io::TimerId isr_timer_ = io::kNoTimer;
  io::TimerId expansion_timer_ = io::kNoTimer;
  void tell_if_idle();

  std::size_t flushes_under_way_ = 0;
  std::set<std::shared_ptr<CleaningRun>> cleanings_;  // under way
  Task idle_;
};

}  // namespace broker::replication
