#include "broker/coordinator/runtime/coordinator_runtime.h"

#include "broker/coordinator/runtime/active_shard.h"

namespace broker::coordinator {

Result<BrokerId> coordinator_of(std::string_view topic, const std::string& id,
                                const metadata::MetadataImage& image) {
  const metadata::TopicImage* found = image.topics.find(topic);
  if (!found) return ErrorCode::kCoordinatorNotAvailable;
  const auto count = static_cast<std::int32_t>(found->partitions.size());
  const auto* partition = found->partitions.find(partition_for(id, count));
  if (!partition || partition->leader == metadata::kNoLeader)
    return ErrorCode::kCoordinatorNotAvailable;
  return partition->leader;
}

CoordinatorRuntime::CoordinatorRuntime(CoordinatorOptions options,
                                       replication::ReplicaManager& replicas, ShardFactory factory)
    : options_(std::move(options)),
      replicas_(replicas),
      factory_(std::move(factory)),
      shards_(replicas.strands().count()) {
  replicas_.listen(options_.topic, *this);
}

CoordinatorRuntime::~CoordinatorRuntime() = default;

std::size_t CoordinatorRuntime::strand_index() const {
  const replication::Strands& strands = replicas_.strands();
  for (std::size_t i = 0; i < strands.count(); ++i)
    if (strands.shard(i).is_current()) return i;
  check_failed("on a shard's strand", __FILE__, __LINE__, options_.topic);
}

std::int32_t CoordinatorRuntime::partition_count() const {
  const auto* topic = replicas_.image()->topics.find(std::string_view(options_.topic));
  return topic ? static_cast<std::int32_t>(topic->partitions.size()) : 0;
}

void CoordinatorRuntime::on_shard(std::int32_t partition,
                                  UniqueFunction<void(Result<std::shared_ptr<ActiveShard>>)> work) {
  const auto* topic = replicas_.image()->topics.find(std::string_view(options_.topic));
  if (!topic) return work(ErrorCode::kCoordinatorNotAvailable);
  replication::run_on(
      replicas_.home(topic->id, partition), [this, partition, work = std::move(work)]() mutable {
        const Shards& shards = shards_[strand_index()];
        const auto at = shards.find(partition);
        const ErrorCode error =
            at == shards.end() ? ErrorCode::kNotCoordinator : at->second->availability();
        if (error != ErrorCode::kNone) return work(error);
        // A copy keeps it alive: the work may end the shard.
        work(at->second);
      });
}

void CoordinatorRuntime::run(std::int32_t partition, Operation operation, Refusal refused) {
  on_shard(partition, [operation = std::move(operation), refused = std::move(refused)](
                          Result<std::shared_ptr<ActiveShard>> shard) mutable {
    if (!shard.ok()) return refused(shard.code());
    (*shard)->run(std::move(operation));
  });
}

void CoordinatorRuntime::run_in_transaction(std::int32_t partition,
                                            replication::TransactionCheck check,
                                            Operation operation, Refusal refused) {
  on_shard(partition, [check = std::move(check), operation = std::move(operation),
                       refused =
                           std::move(refused)](Result<std::shared_ptr<ActiveShard>> shard) mutable {
    if (!shard.ok()) return refused(shard.code());
    (*shard)->run_in_transaction(std::move(check), std::move(operation), std::move(refused));
  });
}

void CoordinatorRuntime::write_marker(std::int32_t partition, const record::TxnMarker& marker,
                                      std::int16_t transaction_version,
                                      UniqueFunction<void(ErrorCode)> done) {
  on_shard(partition, [marker, transaction_version,
                       done = std::move(done)](Result<std::shared_ptr<ActiveShard>> shard) mutable {
    if (!shard.ok()) return done(shard.code());
    (*shard)->write_marker(marker, transaction_version, std::move(done));
  });
}

void CoordinatorRuntime::run_on_all(std::function<Output(Shard&, const Now&)> operation,
                                    UniqueFunction<void(Visit)> done) {
  struct Sum {
    Visit visit;
    std::size_t left;
    UniqueFunction<void(Visit)> done;
  };
  const replication::Strands& strands = replicas_.strands();
  io::Strand& origin = strands.current();
  auto sum = std::make_shared<Sum>();
  sum->left = strands.count();
  sum->done = std::move(done);
  for (std::size_t i = 0; i < strands.count(); ++i) {
    replication::run_on(strands.shard(i), [this, i, operation, sum, &origin] {
      Visit visit;
      const Shards shards = shards_[i];
      for (const auto& [partition, shard] : shards) {
        const ErrorCode error = shard->availability();
        visit.loading = visit.loading || error == ErrorCode::kCoordinatorLoadInProgress;
        if (error != ErrorCode::kNone) continue;
        ++visit.shards;
        shard->run(operation);
      }
      replication::run_on(origin, [sum, visit] {
        sum->visit.shards += visit.shards;
        sum->visit.loading = sum->visit.loading || visit.loading;
        // Moved out: another strand may drop the last reference.
        if (--sum->left == 0) std::exchange(sum->done, nullptr)(sum->visit);
      });
    });
  }
}

void CoordinatorRuntime::on_become_leader(replication::Partition& partition, LeaderEpoch epoch) {
  const std::size_t strand = strand_index();
  std::shared_ptr<ActiveShard>& shard = shards_[strand][partition.id().partition];
  // Leading on in a new epoch changes nothing: the state is that of this very log. A shard that
  // could not load gets another chance.
  if (shard && shard->availability() != ErrorCode::kNotCoordinator) return shard->on_epoch(epoch);
  shard = std::make_shared<ActiveShard>(options_, replicas_.strands().shard(strand), partition,
                                        factory_(partition.id().partition));
  shard->on_epoch(epoch);
  shard->load();
}

void CoordinatorRuntime::on_resign(replication::Partition& partition) {
  Shards& shards = shards_[strand_index()];
  const auto at = shards.find(partition.id().partition);
  if (at == shards.end()) return;
  const std::shared_ptr<ActiveShard> shard = std::move(at->second);
  shards.erase(at);
  shard->resign();
}

}  // namespace broker::coordinator
