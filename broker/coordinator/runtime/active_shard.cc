#include "broker/coordinator/runtime/active_shard.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"

namespace broker::coordinator {

namespace {

/// What the partition's answer means to clients of a coordinator.
ErrorCode to_coordinator_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kNotEnoughReplicas:
    case ErrorCode::kNotEnoughReplicasAfterAppend:
    case ErrorCode::kRequestTimedOut:
      return ErrorCode::kCoordinatorNotAvailable;
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kKafkaStorageError:
      return ErrorCode::kNotCoordinator;
    case ErrorCode::kRecordListTooLarge:
    case ErrorCode::kMessageTooLarge:
      return ErrorCode::kMessageTooLarge;
    default:
      return error;
  }
}

/// Refused before anything was written, or not.
bool is_in_log(const std::optional<ErrorCode>& outcome) {
  return !outcome || *outcome == ErrorCode::kNone ||
         *outcome == ErrorCode::kNotEnoughReplicasAfterAppend;
}

void answer(std::vector<CommitCallback>& callbacks, ErrorCode error) {
  std::vector<CommitCallback> taken;
  taken.swap(callbacks);
  for (CommitCallback& callback : taken) callback(error);
}

Result<Slice> to_batch(const Output& output, WallMs wall) {
  record::BatchOptions options;
  if (output.transaction) {
    options.producer_id = output.transaction->id;
    options.producer_epoch = output.transaction->epoch;
    options.base_sequence = 0;  // of coordinators' batches nobody looks at it
    options.transactional = true;
  }
  record::BatchBuilder builder(options);
  for (const Record& each : output.records) {
    const auto value = each.value ? std::optional<record::Bytes>(each.value->span()) : std::nullopt;
    builder.add(wall, each.key.span(), value);
  }
  return builder.build();
}

}  // namespace

ActiveShard::ActiveShard(const CoordinatorOptions& options, io::Strand& strand,
                         replication::Partition& partition, std::unique_ptr<Shard> shard)
    : options_(options),
      strand_(strand),
      partition_(partition.shared_from_this()),
      shard_(std::move(shard)) {}

ErrorCode ActiveShard::availability() const {
  switch (state_) {
    case State::kLoading:
      return ErrorCode::kCoordinatorLoadInProgress;
    case State::kActive:
      return ErrorCode::kNone;
    case State::kFailed:
    case State::kResigned:
      return ErrorCode::kNotCoordinator;
  }
  return ErrorCode::kNotCoordinator;
}

// --- Loading

void ActiveShard::load() {
  load_began_ = strand_.now();
  next_to_load_ = partition_->log()->log_start_offset();
  if (has_defect(Defect::kOffsetsNotLoaded)) next_to_load_ = partition_->log()->log_end_offset();
  load_chunk();
}

void ActiveShard::load_chunk() {
  if (state_ != State::kLoading) return;
  // Leaders do not truncate: what is in the log now stays, committed or not. Nobody sees it before
  // it is committed, because answers wait.
  const Offset end = partition_->log()->log_end_offset();
  if (next_to_load_ >= end) return loading_done(end);
  const Result<Offset> next = load_from(next_to_load_, end);
  if (!next.ok()) return fail(next.error());
  next_to_load_ = *next;
  if (next_to_load_ >= end) return loading_done(end);
  strand_.post([self = shared_from_this()] { self->load_chunk(); });
}

Result<Offset> ActiveShard::load_from(Offset offset, Offset end) {
  ASSIGN_OR_RETURN(const storage::ReadResult read,
                   partition_->log()->read(offset, end, options_.load_chunk_bytes, true));
  RETURN_IF_ERROR(replay_batches(read.records));
  // Compaction may have taken the last records away.
  return read.next_offset > offset ? read.next_offset : end;
}

Result<void> ActiveShard::replay_batches(const Slice& batches) {
  record::BatchReader reader(batches);
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<record::Batch> batch, reader.next());
    if (!batch) return {};
    RETURN_IF_ERROR(replay_batch(*batch));
  }
}

Result<void> ActiveShard::replay_batch(const record::Batch& batch) {
  const record::BatchHeader header = batch.header();
  if (header.is_control()) {
    ASSIGN_OR_RETURN(const auto marker, record::parse_txn_marker(batch));
    if (marker && header.base_offset() >= next_to_load_)
      shard_->replay_end(marker->producer_id, marker->type == record::ControlType::kCommit);
    return {};
  }
  std::optional<TransactionalProducer> transaction;
  if (header.is_transactional()) transaction = {header.producer_id(), header.producer_epoch()};
  ASSIGN_OR_RETURN(record::RecordIterator records, record::RecordIterator::open(batch));
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<record::RecordView> view, records.next());
    if (!view) return {};
    if (view->offset < next_to_load_ || !view->key) continue;
    Record record{Slice::borrowed(*view->key), std::nullopt};
    if (view->value) record.value = Slice::borrowed(*view->value);
    RETURN_IF_ERROR(replay(transaction, record));
    ++records_loaded_;
  }
}

Result<void> ActiveShard::replay(const std::optional<TransactionalProducer>& transaction,
                                 const Record& record) {
  return transaction ? shard_->replay_pending(*transaction, record) : shard_->replay(record);
}

void ActiveShard::loading_done(Offset end) {
  state_ = State::kActive;
  written_end_ = end;
  shard_->on_loaded(now());
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(strand_.now() - load_began_);
  log_debug("coordinator", "loaded",
            {{"partition", replication::to_string(partition_->id())},
             {"records", records_loaded_},
             {"ms", took.count()}});
  arm_timer();
}

void ActiveShard::fail(const Error& why) {
  log_error("coordinator", "out of service: its log cannot be applied",
            {{"partition", replication::to_string(partition_->id())}, {"reason", to_string(why)}});
  resign();
  state_ = State::kFailed;
}

void ActiveShard::resign() {
  if (state_ == State::kResigned || state_ == State::kFailed) return;
  state_ = State::kResigned;
  strand_.cancel(timer_);
  timer_ = io::kNoTimer;
  const auto outstanding = std::exchange(outstanding_, {});
  for (const auto& write : outstanding) answer(write->callbacks, ErrorCode::kNotCoordinator);
  shard_->resign(ErrorCode::kNotCoordinator);
}

// --- Operations

void ActiveShard::run(CoordinatorRuntime::Operation operation) {
  carry_out(operation(*shard_, now()));
}

void ActiveShard::run(const std::function<Output(Shard&, const Now&)>& operation) {
  carry_out(operation(*shard_, now()));
}

void ActiveShard::carry_out(Output output) {
  if (!output.records.empty()) {
    write(std::move(output));
  } else if (!output.on_committed.empty()) {
    // A read: true once everything that it may have seen is.
    if (!outstanding_.empty()) {
      auto& callbacks = outstanding_.back()->callbacks;
      for (CommitCallback& each : output.on_committed) callbacks.push_back(std::move(each));
    } else {
      const bool committed = partition_->high_watermark() >= written_end_;
      answer(output.on_committed,
             committed ? ErrorCode::kNone : ErrorCode::kCoordinatorNotAvailable);
    }
  }
  if (state_ == State::kActive) arm_timer();
}

std::shared_ptr<ActiveShard::Write> ActiveShard::begin_write(
    std::vector<CommitCallback> callbacks) {
  auto pending = std::make_shared<Write>();
  pending->callbacks = std::move(callbacks);
  pending->in_append = true;
  outstanding_.push_back(pending);
  return pending;
}

replication::Partition::AppendCallback ActiveShard::ends(const std::shared_ptr<Write>& write) {
  return [self = shared_from_this(), write](replication::ProduceResult result) {
    write->outcome = result.error;
    if (!write->in_append) self->on_write_done(write);
  };
}

void ActiveShard::write(Output output) {
  const Now time = now();
  const Result<Slice> batch = to_batch(output, time.wall);
  if (!batch.ok()) return answer(output.on_committed, ErrorCode::kUnknownServerError);
  const auto pending = begin_write(std::move(output.on_committed));
  partition_->append(*batch, replication::Acks::kAll, replication::AppendOrigin::kCoordinator,
                     options_.write_timeout, time.now, time.wall, ends(pending));
  pending->in_append = false;
  if (is_in_log(pending->outcome)) {
    written_end_ = partition_->log()->log_end_offset();
    for (const Record& each : output.records) {
      const Result<void> replayed = replay(output.transaction, each);
      if (!replayed.ok()) return fail(replayed.error());
    }
  }
  if (has_defect(Defect::kOffsetsAckedEarly)) {
    answer(pending->callbacks, ErrorCode::kNone);
    pending->callbacks.clear();
  }
  if (pending->outcome) on_write_done(pending);
}

// --- Transactions

void ActiveShard::run_in_transaction(replication::TransactionCheck check,
                                     CoordinatorRuntime::Operation operation,
                                     CoordinatorRuntime::Refusal refused) {
  partition_->verify_transaction(std::move(check),
                                 [self = shared_from_this(), operation = std::move(operation),
                                  refused = std::move(refused)](ErrorCode error) mutable {
                                   if (error != ErrorCode::kNone) return refused(error);
                                   // The coordinator may have moved while its partition's leader
                                   // asked.
                                   if (self->state_ != State::kActive)
                                     return refused(ErrorCode::kNotCoordinator);
                                   self->run(std::move(operation));
                                 });
}

void ActiveShard::write_marker(const record::TxnMarker& marker, std::int16_t transaction_version,
                               CommitCallback done) {
  const Now time = now();
  std::vector<CommitCallback> callbacks;
  callbacks.push_back(std::move(done));
  const auto pending = begin_write(std::move(callbacks));
  partition_->append_marker(marker, transaction_version, options_.write_timeout, time.now,
                            time.wall, ends(pending));
  pending->in_append = false;
  if (is_in_log(pending->outcome)) {
    written_end_ = partition_->log()->log_end_offset();
    shard_->replay_end(marker.producer_id, marker.type == record::ControlType::kCommit);
  }
  if (pending->outcome) on_write_done(pending);
  if (state_ == State::kActive) arm_timer();
}

void ActiveShard::on_write_done(const std::shared_ptr<Write>& write) {
  std::erase(outstanding_, write);
  if (*write->outcome != ErrorCode::kNone)
    log_warn("coordinator", "a write failed",
             {{"partition", replication::to_string(partition_->id())},
              {"error", error_name(*write->outcome)}});
  answer(write->callbacks, to_coordinator_error(*write->outcome));
}

void ActiveShard::arm_timer() {
  const std::optional<Instant> wake = shard_->wake_at();
  if (!wake || (timer_ != io::kNoTimer && timer_due_ <= *wake)) return;
  strand_.cancel(timer_);
  timer_due_ = *wake;
  timer_ = strand_.call_at(*wake, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ != State::kActive) return;
    self->timer_ = io::kNoTimer;
    self->carry_out(self->shard_->tick(self->now()));
  });
}

}  // namespace broker::coordinator
