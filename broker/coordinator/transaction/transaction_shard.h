#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/coordinator/runtime/shard.h"
#include "broker/coordinator/transaction/options.h"
#include "broker/coordinator/transaction/types.h"
#include "broker/protocol/messages/describe_transactions_response.h"
#include "broker/protocol/messages/list_transactions_response.h"

namespace broker::coordinator::transaction {

struct InitProducer {
  std::string transactional_id;
  std::chrono::milliseconds timeout{0};
  std::optional<ProducerIdAndEpoch> expected;  // what the producer has (KIP-360)
};

/// `needs_producer_id`: nothing happened; to be asked again with an id that nobody has.
struct ProducerAnswer {
  ErrorCode error = ErrorCode::kNone;
  ProducerIdAndEpoch producer;
  bool needs_producer_id = false;
};

struct PartitionsOfTransaction {
  std::string transactional_id;
  ProducerIdAndEpoch producer;
  std::set<TopicPartition> partitions;
};

struct EndTransaction {
  std::string transactional_id;
  ProducerIdAndEpoch producer;
  bool commit = false;
  TransactionVersion client_version = 0;
};

struct ListFilter {
  std::optional<std::set<State>> states;
  std::set<ProducerId> producers;         // empty: all
  std::chrono::milliseconds running{-1};  // only those that run for longer; negative: all
  /// Of the transactional id; null: all.
  std::function<bool(const std::string&)> matches;
};

/// The transactional ids of one partition of __transaction_state. Who owns which producer id and
/// epoch, which partitions a transaction has, and how it ends (KIP-98, KIP-360, KIP-890).
///
/// State changes only in replay(). Every answer waits until what it tells is committed. Once the
/// decision to commit or abort is committed, the markers are asked of `send_markers`, until
/// markers_written() or the end of the shard; a coordinator that takes over asks again.
class TransactionShard final : public Shard {
 public:
  struct Ports {
    /// Must not call back into the shard from inside.
    std::function<void(MarkerWork)> send_markers;
    /// The shard ends: what was asked is somebody else's affair.
    std::function<void()> forget_markers;
    /// The finalized level of transaction.version.
    std::function<TransactionVersion()> version;
  };
  TransactionShard(const TransactionOptions& options, std::int32_t partition, Ports ports);

  Result<void> replay(const Record& record) override;
  void on_epoch(LeaderEpoch epoch) override { epoch_ = epoch; }
  void on_loaded(const Now& now) override;
  Output tick(const Now& now) override;
  std::optional<Instant> wake_at() const override;
  void resign(ErrorCode reason) override;

  /// Fences earlier producers with this id. Errors: kInvalidRequest, kInvalidTransactionTimeout,
  /// kProducerFenced, kConcurrentTransactions (a transaction is being ended; ask again).
  Output init_producer(const InitProducer& request, std::optional<ProducerId> fresh, const Now& now,
                       Reply<ProducerAnswer> reply);
  /// Errors: kInvalidRequest, kInvalidProducerIdMapping, kProducerFenced, kConcurrentTransactions.
  Output add_partitions(const PartitionsOfTransaction& request, TransactionVersion client_version,
                        const Now& now, Reply<ErrorCode> reply);
  /// Which of the partitions do not belong to the transaction (kTransactionAbortable).
  using Verdicts = std::map<TopicPartition, ErrorCode>;
  Output verify_partitions(const PartitionsOfTransaction& request, Reply<Verdicts> reply) const;
  /// Answers when the decision is committed; the markers follow. Errors: those of add_partitions()
  /// and kInvalidTxnState.
  Output end(const EndTransaction& request, std::optional<ProducerId> fresh, const Now& now,
             Reply<ProducerAnswer> reply);
  /// All markers of this transaction are in their partitions.
  Output markers_written(const std::string& transactional_id, ProducerIdAndEpoch producer,
                         const Now& now);

  using Described = protocol::DescribeTransactionsResponse::TransactionState;
  Output describe(const std::string& transactional_id, Reply<Described> reply) const;
  using Listed = std::vector<protocol::ListTransactionsResponse::TransactionState>;
  Output list(const ListFilter& filter, WallMs now, Reply<Listed> reply) const;

  const Transaction* find(const std::string& transactional_id) const;
  std::size_t size() const { return transactions_.size(); }

 private:
  struct Entry {
    Transaction transaction;
    /// Of the producer before the last InitProducerId that named it: a repetition of that request
    /// gets the same answer. Forgotten with the coordinator, as in Kafka.
    ProducerEpoch last_epoch = kNoEpoch;
    bool sending = false;  // markers are under way
  };

  // init_producer.cc
  Output write_producer(const InitProducer& request, Transaction next, ProducerEpoch last_epoch,
                        const Now& now, Reply<ProducerAnswer> reply);
  Output fence_ongoing(const std::string& transactional_id, const Transaction& current,
                       const Now& now, Reply<ProducerAnswer> reply);
  // end_transaction.cc
  Transaction prepared(const Transaction& current, bool commit, TransactionVersion client_version,
                       const Now& now) const;
  /// An abort that the producer did not ask for, which fences it.
  Transaction fenced(const Transaction& current, const Now& now) const;
  void write_prepared(const std::string& transactional_id, Transaction next, const Now& now,
                      Output& out);
  void start_sending(const std::string& transactional_id);
  void abort_timed_out(const Now& now, Output& out);
  void expire_ids(const Now& now, Output& out);

  static constexpr std::chrono::milliseconds kSendRetry{1'000};
  /// One batch must fit into max.message.bytes; what is left goes with the next.
  static constexpr std::size_t kMaxPerSweep = 500;
  static constexpr std::chrono::milliseconds kNextSweep{1};

  const TransactionOptions options_;
  const std::int32_t partition_;
  const Ports ports_;
  LeaderEpoch epoch_{-1};
  std::map<std::string, Entry> transactions_;
  std::size_t ongoing_ = 0;
  std::set<std::string> to_send_;  // prepared, and nobody writes their markers yet
  Instant next_send_{};            // of `to_send_`, unless their commit brings it about before
  Instant next_abort_check_{};
  Instant next_expiration_check_{};
};

}  // namespace broker::coordinator::transaction
