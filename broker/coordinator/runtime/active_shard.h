#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "broker/coordinator/runtime/coordinator_runtime.h"

namespace broker::coordinator {

/// One shard in service: its partition, its state, what it has written but not yet seen committed.
/// Lives on the partition's strand.
class ActiveShard final : public std::enable_shared_from_this<ActiveShard> {
 public:
  ActiveShard(const CoordinatorOptions& options, io::Strand& strand,
              replication::Partition& partition, std::unique_ptr<Shard> shard);

  void on_epoch(LeaderEpoch epoch) { shard_->on_epoch(epoch); }
  /// Reads the partition's log, a chunk per turn of the loop.
  void load();
  /// kNone when operations may run; else why not.
  ErrorCode availability() const;
  void run(const std::function<Output(Shard&, const Now&)>& operation);
  void run(CoordinatorRuntime::Operation operation);
  /// As run(), once the coordinator of the transaction knows of this partition.
  void run_in_transaction(replication::TransactionCheck check,
                          CoordinatorRuntime::Operation operation,
                          CoordinatorRuntime::Refusal refused);
  void write_marker(const record::TxnMarker& marker, std::int16_t transaction_version,
                    CommitCallback done);
  /// Out of service for good; everything that waits is answered kNotCoordinator.
  void resign();

 private:
  enum class State { kLoading, kActive, kFailed, kResigned };
  struct Write {
    std::vector<CommitCallback> callbacks;
    std::optional<ErrorCode> outcome;  // of the partition, as soon as it is known
    bool in_append = false;
  };

  Now now() const { return {strand_.now(), strand_.wall_now()}; }
  void load_chunk();
  Result<Offset> load_from(Offset offset, Offset end);
  Result<void> replay_batches(const Slice& batches);
  Result<void> replay_batch(const record::Batch& batch);
  Result<void> replay(const std::optional<TransactionalProducer>& transaction,
                      const Record& record);
  void loading_done(Offset end);
  void fail(const Error& why);
  void carry_out(Output output);
  void write(Output output);
  std::shared_ptr<Write> begin_write(std::vector<CommitCallback> callbacks);
  replication::Partition::AppendCallback ends(const std::shared_ptr<Write>& write);
  void on_write_done(const std::shared_ptr<Write>& write);
  void arm_timer();

  const CoordinatorOptions& options_;
  io::Strand& strand_;
  const std::shared_ptr<replication::Partition> partition_;

  std::unique_ptr<Shard> shard_;
  State state_ = State::kLoading;
  Offset next_to_load_;
  std::uint64_t records_loaded_ = 0;
  Instant load_began_{};
  Offset written_end_;  // behind everything that the shard's state reflects
  std::deque<std::shared_ptr<Write>> outstanding_;
  io::TimerId timer_ = io::kNoTimer;
  Instant timer_due_{};
};

}  // namespace broker::coordinator
