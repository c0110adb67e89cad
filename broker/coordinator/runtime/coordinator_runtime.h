#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/coordinator/runtime/shard.h"
#include "broker/coordinator/runtime/types.h"
#include "broker/replication/replica_manager.h"

namespace broker::coordinator {

class ActiveShard;

/// Who coordinates `id`: the leader of its partition of the coordinator's topic. Errors:
/// kCoordinatorNotAvailable.
Result<BrokerId> coordinator_of(std::string_view topic, const std::string& id,
                                const metadata::MetadataImage& image);

struct CoordinatorOptions {
  std::string topic;                               // "__consumer_offsets"
  std::chrono::milliseconds write_timeout{5'000};  // offsets.commit.timeout.ms
  std::size_t load_chunk_bytes = 1 << 20;          // read per turn while loading
};

/// Keeps one Shard per led partition of a coordinator's topic, on the partition's strand: loads it
/// from the log when this broker becomes leader, drops it when it resigns, runs operations on it,
/// writes their records and holds their answers until these are committed.
class CoordinatorRuntime final : public replication::LeadershipListener {
 public:
  using ShardFactory = std::function<std::unique_ptr<Shard>(std::int32_t partition)>;

  /// Registers with `replicas` (listen()), which must outlive it, and must have shut down before it
  /// goes.
  CoordinatorRuntime(CoordinatorOptions options, replication::ReplicaManager& replicas,
                     ShardFactory factory);
  ~CoordinatorRuntime() override;

  /// Number of partitions of the topic as this strand knows it; 0 while it does not exist.
  std::int32_t partition_count() const;

  using Operation = UniqueFunction<Output(Shard&, const Now&)>;
  using Refusal = UniqueFunction<void(ErrorCode)>;
  /// From one of the strands. Runs `operation` on the shard's strand, or `refused` there (or here):
  /// kCoordinatorNotAvailable (no such topic yet), kNotCoordinator, kCoordinatorLoadInProgress.
  void run(std::int32_t partition, Operation operation, Refusal refused);
  /// As run(), for an operation whose Output belongs to a transaction: asks the coordinator of the
  /// transaction first, unless it is open here already. Also refuses with what that says
  /// (replication::Partition::verify_transaction()).
  void run_in_transaction(std::int32_t partition, replication::TransactionCheck check,
                          Operation operation, Refusal refused);
  /// Ends a transaction in the shard's partition. `done` runs on the shard's strand (or here) with
  /// the errors of run() and of replication::Partition::append_marker().
  void write_marker(std::int32_t partition, const record::TxnMarker& marker,
                    std::int16_t transaction_version, UniqueFunction<void(ErrorCode)> done);
  struct Visit {
    std::size_t shards = 0;  // on which the operation ran
    bool loading = false;    // some shard was still loading and was left out
  };
  /// From one of the strands: runs `operation` on every active shard, on its strand, then calls
  /// `done` on the strand of the call; what `operation` promised to answer may come later.
  void run_on_all(std::function<Output(Shard&, const Now&)> operation,
                  UniqueFunction<void(Visit)> done);

  void on_become_leader(replication::Partition& partition, LeaderEpoch epoch) override;
  void on_resign(replication::Partition& partition) override;

 private:
  using Shards = std::map<std::int32_t, std::shared_ptr<ActiveShard>>;  // by partition

  std::size_t strand_index() const;
  /// Hands the active shard to `work` on its strand, or says why there is none.
  void on_shard(std::int32_t partition,
                UniqueFunction<void(Result<std::shared_ptr<ActiveShard>>)> work);

  const CoordinatorOptions options_;
  replication::ReplicaManager& replicas_;
  const ShardFactory factory_;
  std::vector<Shards> shards_;  // by strand; each touched by its own strand only
};

}  // namespace broker::coordinator
