#include "broker/replication/replica_manager.h"

#include <charconv>
#include <utility>

#include "broker/metadata/effective_configs.h"
#include "broker/replication/fetch_operation.h"
#include "broker/replication/isr_batcher.h"
#include "broker/replication/log_cleaner.h"
#include "broker/replication/partition_table.h"
#include "broker/replication/replica_sessions.h"

namespace broker::replication {

struct ReplicaManager::Quotas {
  PartitionTable::Quotas of_broker;
};

ReplicaManager::ReplicaManager(ReplicaManagerOptions options, Strands strands,
                               storage::LogDirectories& logs, ReplicaManagerPorts ports)
    : options_(std::move(options)),
      strands_(std::move(strands)),
      logs_(logs),
      ports_(ports),
      quotas_(std::make_unique<Quotas>()) {
  if (ports_.alter_partition)
    isr_batcher_ =
        std::make_unique<IsrBatcher>(strands_.main(), *ports_.alter_partition, options_.node);
  for (std::size_t i = 0; i < strands_.count(); ++i) {
    tables_.push_back(make_table(i));
    const auto home_of = [this](const PartitionKey& key) -> PartitionTable& {
      return *tables_[home_index(key.topic_id, key.partition)];
    };
    sessions_.push_back(
        std::make_unique<ReplicaSessions>(strands_.shard(i), home_of, options_.seed + i));
  }
  std::vector<PartitionTable*> tables;
  for (const auto& table : tables_) tables.push_back(table.get());
  cleaner_ =
      std::make_unique<LogCleaner>(strands_.main(), std::move(tables), options_.seed ^ 0xc1ea);
  cleaner_->update(cleaner_settings(applied_configs()));
}

std::unique_ptr<PartitionTable> ReplicaManager::make_table(std::size_t shard) {
  PartitionTable::Options table;
  table.node = options_.node;
  table.retention_check_interval = options_.retention_check_interval;
  table.flush_check_interval = options_.flush_check_interval;
  table.isr_check_interval = options_.replica_lag_time_max / 2;
  table.rack_aware_reads = options_.rack_aware_reads;
  FetcherCore::Options& fetch = table.fetchers.fetch;
  fetch.self = options_.node;
  fetch.max_wait = options_.replica_fetch_wait_max;
  fetch.min_bytes = options_.replica_fetch_min_bytes;
  fetch.max_bytes = options_.replica_fetch_response_max_bytes;
  fetch.partition_max_bytes = options_.replica_fetch_max_bytes;
  fetch.max_backoff = options_.replica_fetch_backoff;
  table.fetchers.shard = shard;

  io::Strand& strand = strands_.shard(shard);
  PartitionTable::Main main;
  main.checkpoint = [this, &strand](storage::LogPositions positions,
                                    UniqueFunction<void(const Result<void>&)> done) {
    strands_.main().post([this, &strand, positions, done = std::move(done)]() mutable {
      strand.post([done = std::move(done), written = logs_.checkpoint({&positions, 1})]() mutable {
        done(written);
      });
    });
  };
  main.verifier = [this] { return verifier_; };
  if (isr_batcher_)
    main.propose_isr = [this, &strand](const PartitionKey& key, IsrChange change,
                                       UniqueFunction<void(IsrDecision)> done) {
      run_on(strands_.main(), [this, &strand, key, change = std::move(change),
                               done = std::move(done)]() mutable {
        isr_batcher_->submit(
            key, std::move(change),
            [&strand, done = std::move(done)](IsrDecision decision) mutable {
              strand.post([done = std::move(done), decision = std::move(decision)]() mutable {
                done(std::move(decision));
              });
            });
      });
    };
  return std::make_unique<PartitionTable>(table, strand, ports_.workers, quotas_->of_broker,
                                          std::move(main), ports_.peers);
}

void ReplicaManager::update_quotas(const metadata::EffectiveConfigs& configs) {
  const auto rate = [&](const char* key) {
    const std::optional<std::string> value = configs.broker(key);
    std::int64_t parsed = ReplicationQuota::kUnlimited;
    if (value) std::from_chars(value->data(), value->data() + value->size(), parsed);
    return parsed;
  };
  verify_transactions_ =
      configs.broker("transaction.partition.verification.enable").value_or("true") != "false";
  quotas_->of_broker.leader.set_limit(rate("leader.replication.throttled.rate"));
  quotas_->of_broker.follower.set_limit(rate("follower.replication.throttled.rate"));
}

ReplicaManager::~ReplicaManager() = default;

std::size_t ReplicaManager::home_index(const TopicId& topic, std::int32_t partition) const {
  // Partitions of one topic go round the strands, starting anywhere.
  const std::uint64_t start = (topic.msb ^ topic.lsb) * 0x9e3779b97f4a7c15ULL >> 32;
  return static_cast<std::size_t>((start + static_cast<std::uint32_t>(partition)) %
                                  strands_.count());
}

const metadata::ImagePtr& ReplicaManager::image() const {
  for (const auto& table : tables_)
    if (table->strand().is_current()) return table->image();
  strands_.main().check_current();
  return applied_;
}

Partition* ReplicaManager::find(const TopicId& topic, std::int32_t partition) const {
  PartitionTable& table = *tables_[home_index(topic, partition)];
  table.strand().check_current();
  return table.find(topic, partition);
}

template <class Item>
std::vector<std::vector<std::size_t>> ReplicaManager::split(const std::vector<Item>& items) const {
  std::vector<std::vector<std::size_t>> shards(tables_.size());
  for (std::size_t i = 0; i < items.size(); ++i)
    shards[home_index(items[i].at.topic_id, items[i].at.partition)].push_back(i);
  return shards;
}

namespace {

/// Answers in the order of the question, whichever strand they come from.
template <class Answer>
struct Gather {
  std::vector<Answer> answers;
  std::size_t left = 0;
  UniqueFunction<void(std::vector<Answer>)> callback;

  void add(std::vector<std::pair<std::size_t, Answer>> part) {
    left -= part.size();
    for (auto& [index, answer] : part) answers[index] = std::move(answer);
    // Moved out: other strands may drop the last reference to this, and what the callback owns
    // belongs to the strand of the call.
    if (left == 0) std::exchange(callback, nullptr)(std::move(answers));
  }
};

}  // namespace

template <class Item, class Answer, class Work>
void ReplicaManager::scatter(std::vector<Item> items, Work work,
                             UniqueFunction<void(std::vector<Answer>)> callback) {
  if (items.empty()) return callback({});
  io::Strand& origin = strands_.current();
  auto gather = std::make_shared<Gather<Answer>>();
  gather->answers.resize(items.size());
  gather->left = items.size();
  gather->callback = std::move(callback);
  // Shared and constant: every strand takes its items from it.
  const auto asked = std::make_shared<const std::vector<Item>>(std::move(items));
  auto shards = split(*asked);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (shards[i].empty()) continue;
    PartitionTable& table = *tables_[i];
    run_on(table.strand(), [&table, &origin, gather, asked, work, indexes = std::move(shards[i])] {
      std::vector<std::pair<std::size_t, Answer>> part;
      for (const std::size_t index : indexes) {
        const Item& item = (*asked)[index];
        Partition* partition = table.find(item.at.topic_id, item.at.partition);
        Answer answer;
        if (partition)
          answer = work(*partition, item);
        else
          answer.error = ErrorCode::kNotLeaderOrFollower;
        part.emplace_back(index, std::move(answer));
      }
      run_on(origin, [gather, part = std::move(part)]() mutable { gather->add(std::move(part)); });
    });
  }
}

void ReplicaManager::produce(ProducePlan plan, ProduceCallback callback) {
  if (plan.partitions.empty()) return callback({});
  io::Strand& origin = strands_.current();
  auto gather = std::make_shared<Gather<ProduceResult>>();
  gather->answers.resize(plan.partitions.size());
  gather->left = plan.partitions.size();
  gather->callback = std::move(callback);

  // One message there and one back per strand: a strand answers when all its partitions have.
  struct Part {
    std::vector<std::pair<std::size_t, ProduceResult>> results;
    std::size_t expected = 0;
  };
  const auto asked = std::make_shared<ProducePlan>(std::move(plan));
  auto shards = split(asked->partitions);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (shards[i].empty()) continue;
    PartitionTable& table = *tables_[i];
    run_on(table.strand(), [&table, &origin, gather, asked, indexes = std::move(shards[i])] {
      auto part = std::make_shared<Part>();
      part->expected = indexes.size();
      for (const std::size_t index : indexes) {
        const ProducePartition& item = asked->partitions[index];
        auto done = [part, index, gather, &origin](ProduceResult result) {
          part->results.emplace_back(index, std::move(result));
          if (part->results.size() < part->expected) return;
          run_on(origin, [gather, results = std::move(part->results)]() mutable {
            gather->add(std::move(results));
          });
        };
        Partition* partition = table.find(item.at.topic_id, item.at.partition);
        if (!partition) {
          ProduceResult unknown;
          unknown.error = ErrorCode::kNotLeaderOrFollower;
          done(std::move(unknown));
          continue;
        }
        if (asked->transaction)
          partition->append_in_transaction(*asked->transaction, item.records, asked->acks,
                                           asked->timeout, std::move(done));
        else
          partition->append(item.records, asked->acks, AppendOrigin::kClient, asked->timeout,
                            table.strand().now(), table.strand().wall_now(), std::move(done));
      }
    });
  }
}

void ReplicaManager::fetch(FetchPlan plan, FetchCallback callback) {
  auto shards = split(plan.partitions);
  std::vector<FetchOperation::Part> parts;
  for (std::size_t i = 0; i < shards.size(); ++i)
    if (!shards[i].empty()) parts.push_back({tables_[i].get(), std::move(shards[i])});
  auto operation =
      std::make_shared<FetchOperation>(strands_.current(), std::move(plan), std::move(callback));
  operation->start(std::move(parts));
}

void ReplicaManager::serve_replica(protocol::FetchRequest request, ReplicaFetchCallback callback) {
  const io::Strand& origin = strands_.current();
  for (std::size_t i = 0; i < strands_.count(); ++i)
    if (&strands_.shard(i) == &origin)
      return sessions_[i]->serve(std::move(request), std::move(callback));
  check_failed("one of the shards", __FILE__, __LINE__, "");
}

void ReplicaManager::list_offsets(ListOffsetsPlan plan, ListOffsetsCallback callback) {
  scatter<ListOffsetsPartition, ListOffsetsResult>(
      std::move(plan.partitions),
      [reader = plan.reader, isolation = plan.isolation](Partition& partition,
                                                         const ListOffsetsPartition& asked) {
        return partition.list_offset(reader, asked, isolation);
      },
      std::move(callback));
}

void ReplicaManager::write_markers(std::vector<MarkerPartition> markers,
                                   std::chrono::milliseconds timeout, MarkersCallback callback) {
  if (markers.empty()) return callback({});
  io::Strand& origin = strands_.current();
  auto gather = std::make_shared<Gather<ErrorCode>>();
  gather->answers.resize(markers.size());
  gather->left = markers.size();
  gather->callback = std::move(callback);
  for (std::size_t i = 0; i < markers.size(); ++i) {
    PartitionTable& table = home_table(markers[i].at);
    run_on(table.strand(), [&table, &origin, gather, i, timeout, item = std::move(markers[i])] {
      auto done = [gather, i, &origin](ProduceResult result) {
        run_on(origin, [gather, i, error = result.error] { gather->add({{i, error}}); });
      };
      Partition* partition = table.find(item.at.topic_id, item.at.partition);
      if (!partition) {
        ProduceResult unknown;
        unknown.error = ErrorCode::kNotLeaderOrFollower;
        return done(std::move(unknown));
      }
      partition->append_marker(item.marker, item.transaction_version, timeout, table.strand().now(),
                               table.strand().wall_now(), std::move(done));
    });
  }
}

void ReplicaManager::active_producers(std::vector<ProducersPartition> asked,
                                      ProducersCallback callback) {
  scatter<ProducersPartition, Partition::ActiveProducers>(
      std::move(asked),
      [](Partition& partition, const ProducersPartition&) { return partition.active_producers(); },
      std::move(callback));
}

void ReplicaManager::end_of_epochs(std::vector<EpochEndPartition> asked,
                                   EpochEndCallback callback) {
  scatter<EpochEndPartition, EpochEndResult>(
      std::move(asked),
      [](Partition& partition, const EpochEndPartition& item) {
        return partition.end_of_epoch(item);
      },
      std::move(callback));
}

void ReplicaManager::delete_records(std::vector<DeleteRecordsPartition> asked,
                                    DeleteRecordsCallback callback) {
  scatter<DeleteRecordsPartition, DeleteRecordsResult>(
      std::move(asked),
      [](Partition& partition, const DeleteRecordsPartition& item) {
        return partition.delete_records(item.before_offset);
      },
      std::move(callback));
}

void ReplicaManager::collect(UniqueFunction<void(MetricsSnapshot)> callback) {
  struct Collection {
    MetricsSnapshot sum;
    std::size_t left;
    UniqueFunction<void(MetricsSnapshot)> callback;
  };
  io::Strand& origin = strands_.current();
  auto collection = std::make_shared<Collection>();
  collection->left = tables_.size() + 1;
  collection->callback = std::move(callback);
  const auto add = [collection](const MetricsSnapshot& part) {
    MetricsSnapshot& sum = collection->sum;
    for (const auto& [topic, counters] : part.topics) sum.topics[topic] += counters;
    sum.partitions.insert(sum.partitions.end(), part.partitions.begin(), part.partitions.end());
    sum.produce_waiters += part.produce_waiters;
    sum.fetch_waiters += part.fetch_waiters;
    if (part.cleaner) sum.cleaner = part.cleaner;
    if (--collection->left == 0) std::exchange(collection->callback, nullptr)(std::move(sum));
  };
  run_on(strands_.main(), [this, add, &origin] {
    MetricsSnapshot part;
    part.cleaner = cleaner_->metrics();
    run_on(origin, [add, part = std::move(part)] { add(part); });
  });
  for (const auto& table : tables_) {
    run_on(table->strand(), [table = table.get(), add, &origin] {
      MetricsSnapshot part;
      table->collect(part);
      run_on(origin, [add, part = std::move(part)] { add(part); });
    });
  }
}

}  // namespace broker::replication
