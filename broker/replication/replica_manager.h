#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/config/config_def.h"
#include "broker/metadata/delta.h"
#include "broker/replication/metrics.h"
#include "broker/replication/partition.h"
#include "broker/replication/peers.h"
#include "broker/replication/strands.h"
#include "broker/replication/types.h"
#include "broker/storage/log_directories.h"

namespace broker::config {
struct TopicConfig;
}
namespace broker::metadata {
class EffectiveConfigs;
}

namespace broker::replication {

class IsrBatcher;
class LogCleaner;
class PartitionTable;
class ReplicaSessions;

/// Told about leadership of the partitions of one topic, on each partition's home strand.
class LeadershipListener {
 public:
  virtual ~LeadershipListener() = default;
  /// Also when this broker leads on in a new epoch.
  virtual void on_become_leader(Partition& partition, LeaderEpoch epoch) = 0;
  /// No longer led here, or gone, or this broker stops. `partition` is still usable.
  virtual void on_resign(Partition& partition) = 0;
};

struct ReplicaManagerOptions {
  BrokerId node;
  config::ConfigMap static_config;  // what server.properties says, for effective topic configs
  std::chrono::milliseconds replica_lag_time_max{30'000};
  std::chrono::milliseconds retention_check_interval{300'000};
  std::chrono::milliseconds checkpoint_interval{5'000};
  std::chrono::milliseconds flush_check_interval{1'000};
  std::int64_t producer_id_expiration_ms = 86'400'000;
  std::chrono::milliseconds replica_fetch_wait_max{500};
  std::chrono::milliseconds replica_fetch_backoff{1'000};
  std::int32_t replica_fetch_min_bytes = 1;
  std::int32_t replica_fetch_max_bytes = 1 << 20;  // of one partition
  std::int32_t replica_fetch_response_max_bytes = 10 << 20;
  bool rack_aware_reads = false;  // replica.selector.class: RackAwareReplicaSelector (KIP-392)
  std::uint64_t seed = 0;         // of session ids and jitter
};

/// What ReplicaManager runs on besides strands and logs. Everything outlives it.
struct ReplicaManagerPorts {
  io::WorkerPool& workers;
  /// Without them this broker follows nobody and changes no ISR: a broker alone, in tests.
  PeerConnector* peers = nullptr;
  AlterPartitionSender* alter_partition = nullptr;
  DirectoryListener* directories = nullptr;
};

/// The partitions of this broker: one table per strand, each partition at home on
/// hash(topic id, partition) mod strands. Requests come from any of the strands and are gathered
/// there: callbacks run on the strand of the call, possibly before the call returns, exactly once.
/// Whether a topic exists and who may use it is checked before; a partition that does not live here
/// is answered kNotLeaderOrFollower.
class ReplicaManager {
 public:
  /// `logs` lives on strands.main() and has done load().
  ReplicaManager(ReplicaManagerOptions options, Strands strands, storage::LogDirectories& logs,
                 ReplicaManagerPorts ports);
  /// After shut_down() has called back.
  ~ReplicaManager();

  /// The options that a log of `topic` has under `image`; for LogManager::load too.
  storage::LogOptions log_options(const metadata::MetadataImage& image,
                                  std::string_view topic) const;

  /// On main, once, before the first apply(). Starts periodic jobs.
  void start();
  /// On main, before the first apply().
  void listen(const std::string& topic, LeadershipListener& listener);

  /// On main, before the first apply(): who is asked about transactions. Outlives this. Without,
  /// transactions are refused.
  void set_transaction_verifier(TransactionVerifier& verifier) { verifier_ = &verifier; }

  /// On main, after every registration of this broker, before its image is applied: followers name
  /// the epoch in their fetches, leaders in their AlterPartition requests. Until the first call
  /// neither is sent.
  void set_broker_epoch(BrokerEpoch epoch);

  /// On main. Creates and deletes logs, changes roles and settings as `update` says. Updates are
  /// applied in order; `on_applied` runs on main when every strand has this one. A log that cannot
  /// be created leaves its partition offline.
  void apply(const metadata::MetadataUpdate& update, Task on_applied = nullptr);
  /// On main, once metadata has caught up: moves logs away that the image does not know.
  Result<void> remove_strays();
  /// On main. A log directory went offline: what waits in its partitions is answered.
  void on_directory_offline();
  /// On main. Answers everything that waits (kNotLeaderOrFollower), writes checkpoints, closes all
  /// logs and marks the directories clean. `done` runs on main.
  void shut_down(std::optional<BrokerEpoch> epoch, UniqueFunction<void(Result<void>)> done);

  const Strands& strands() const { return strands_; }
  io::Strand& home(const TopicId& topic, std::int32_t partition) const {
    return strands_.shard(home_index(topic, partition));
  }
  /// The newest image that this strand's partitions reflect. On one of the shards.
  const metadata::ImagePtr& image() const;
  /// On the partition's home strand; nullptr if it does not live here. Valid until this turn ends.
  Partition* find(const TopicId& topic, std::int32_t partition) const;

  void produce(ProducePlan plan, ProduceCallback callback);
  /// Long-polls for up to plan.max_wait until plan.min_bytes are there or a partition has an
  /// error. Results stay within plan.max_bytes but for the first batch.
  void fetch(FetchPlan plan, FetchCallback callback);
  /// A follower's Fetch, version 13 and above, with its sessions (KIP-227); the caller has checked
  /// CLUSTER_ACTION on the inter-broker listener. Costs what has news, not what the session holds.
  /// A session is found only on the strand of the call that made it, as in FetchSessionCache.
  using ReplicaFetchCallback = UniqueFunction<void(protocol::FetchResponse)>;
  void serve_replica(protocol::FetchRequest request, ReplicaFetchCallback callback);
  void list_offsets(ListOffsetsPlan plan, ListOffsetsCallback callback);
  /// Appends a transaction marker to a partition that this broker leads.
  struct MarkerPartition {
    TopicIdPartition at;
    record::TxnMarker marker;
    std::int16_t transaction_version = 0;
  };
  using MarkersCallback = UniqueFunction<void(std::vector<ErrorCode>)>;
  void write_markers(std::vector<MarkerPartition> markers, std::chrono::milliseconds timeout,
                     MarkersCallback callback);
  struct ProducersPartition {
    TopicIdPartition at;
  };
  using ProducersCallback = UniqueFunction<void(std::vector<Partition::ActiveProducers>)>;
  void active_producers(std::vector<ProducersPartition> asked, ProducersCallback callback);
  void end_of_epochs(std::vector<EpochEndPartition> asked, EpochEndCallback callback);
  void delete_records(std::vector<DeleteRecordsPartition> asked, DeleteRecordsCallback callback);

  /// Counters and gauges of all strands.
  void collect(UniqueFunction<void(MetricsSnapshot)> callback);

 private:
  struct Assignment;  // what apply() tells a partition's strand

  std::size_t home_index(const TopicId& topic, std::int32_t partition) const;
  PartitionTable& home_table(const TopicIdPartition& at) const {
    return *tables_[home_index(at.topic_id, at.partition)];
  }
  /// Indexes into `items` by shard.
  template <class Item>
  std::vector<std::vector<std::size_t>> split(const std::vector<Item>& items) const;
  template <class Item, class Answer, class Work>
  void scatter(std::vector<Item> items, Work work,
               UniqueFunction<void(std::vector<Answer>)> callback);

  // lifecycle.cc, on main
  using Key = std::pair<TopicId, std::int32_t>;
  std::set<Key> affected(const metadata::MetadataUpdate& update) const;
  metadata::EffectiveConfigs applied_configs() const;
  void update_partition(const Key& key, const metadata::EffectiveConfigs& configs);
  void assign(const TopicIdPartition& at, const metadata::PartitionRegistration& registration,
              const config::TopicConfig& config);
  void report_directory(const TopicIdPartition& at, const DirectoryId& assigned);
  void give_up(const TopicIdPartition& at);
  void on_given_up(const TopicIdPartition& at);
  std::unique_ptr<PartitionTable> make_table(std::size_t shard);
  void update_quotas(const metadata::EffectiveConfigs& configs);
  void run_periodically();
  void checkpoint_changes(const std::vector<storage::LogPositions>& positions);
  void finish_shut_down(std::optional<BrokerEpoch> epoch, UniqueFunction<void(Result<void>)> done);

  const ReplicaManagerOptions options_;
  const Strands strands_;
  storage::LogDirectories& logs_;  // on main
  const ReplicaManagerPorts ports_;
  struct Quotas;
  const std::unique_ptr<Quotas> quotas_;

  std::vector<std::unique_ptr<PartitionTable>> tables_;     // by shard
  std::vector<std::unique_ptr<ReplicaSessions>> sessions_;  // by shard
  TransactionVerifier* verifier_ = nullptr;
  std::unique_ptr<IsrBatcher> isr_batcher_;  // on main; null: ISRs are only the controller's affair
  std::unique_ptr<LogCleaner> cleaner_;      // on main
  // On main.
  std::map<std::string, LeadershipListener*> listeners_;
  metadata::ImagePtr applied_ = metadata::MetadataImage::empty();
  std::map<Key, TopicIdPartition> hosted_;
  std::set<TopicPartition> leaving_;  // their strands still use the logs that are to be removed
  std::map<TopicPartition, storage::LogPositions> checkpointed_;
  io::TimerId checkpoint_timer_ = io::kNoTimer;
  bool verify_transactions_ = true;
  bool stopping_ = false;
};

}  // namespace broker::replication
