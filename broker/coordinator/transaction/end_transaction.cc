// TransactionShard: from the decision to the last marker.
#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/coordinator/transaction/records.h"
#include "broker/coordinator/transaction/transaction_shard.h"

namespace broker::coordinator::transaction {

namespace {

/// What becomes of an EndTxn.
struct Verdict {
  enum class Kind { kRefuse, kAlreadyDone, kPrepare } kind = Kind::kRefuse;
  ErrorCode error = ErrorCode::kNone;
};

Verdict refuse(ErrorCode error) { return {Verdict::Kind::kRefuse, error}; }
constexpr Verdict kDone{Verdict::Kind::kAlreadyDone, ErrorCode::kNone};
constexpr Verdict kPrepare{Verdict::Kind::kPrepare, ErrorCode::kNone};

/// Before KIP-890 the epoch stays, so a repetition looks like the request itself.
Verdict judge_same_epoch(const Transaction& current, const EndTransaction& request) {
  if (current.producer.id != request.producer.id)
    return refuse(ErrorCode::kInvalidProducerIdMapping);
  if (current.producer.epoch != request.producer.epoch && !has_defect(Defect::kFencedMayCommit))
    return refuse(ErrorCode::kProducerFenced);
  switch (current.state) {
    case State::kOngoing:
      return kPrepare;
    case State::kPrepareCommit:
    case State::kPrepareAbort:
      return refuse(ErrorCode::kConcurrentTransactions);
    case State::kCompleteCommit:
      return request.commit ? kDone : refuse(ErrorCode::kInvalidTxnState);
    case State::kCompleteAbort:
      return request.commit ? refuse(ErrorCode::kInvalidTxnState) : kDone;
    case State::kEmpty:
      break;
  }
  return refuse(ErrorCode::kInvalidTxnState);
}

/// Since KIP-890 the epoch tells a repetition (one behind) from the end of the next transaction,
/// which may abort without having had a partition. While markers are on their way everybody has to
/// wait, as in Kafka: a producer that was told its next epoch may end an empty transaction before
/// they have arrived.
Verdict judge_bumped_epoch(const Transaction& current, const EndTransaction& request) {
  if (current.is_prepared()) return refuse(ErrorCode::kConcurrentTransactions);
  const ProducerIdAndEpoch& asked = request.producer;
  const bool repeated_over_ids = current.previous_id == asked.id &&
                                 asked.epoch.value == INT16_MAX - 1 &&
                                 current.producer.epoch.value == 0;
  if (current.producer.id != asked.id && !repeated_over_ids)
    return refuse(ErrorCode::kInvalidProducerIdMapping);
  const bool same_epoch = current.producer.id == asked.id && current.producer.epoch == asked.epoch;
  const bool repeated = repeated_over_ids || current.producer.epoch.value == asked.epoch.value + 1;
  switch (current.state) {
    case State::kOngoing:
      return same_epoch || has_defect(Defect::kFencedMayCommit)
                 ? kPrepare
                 : refuse(ErrorCode::kProducerFenced);
    case State::kEmpty:
      if (!same_epoch) return refuse(ErrorCode::kProducerFenced);
      return request.commit ? refuse(ErrorCode::kInvalidTxnState) : kPrepare;
    case State::kPrepareCommit:
    case State::kPrepareAbort:
    case State::kCompleteCommit:
    case State::kCompleteAbort:
      if (!repeated && !same_epoch) return refuse(ErrorCode::kProducerFenced);
      if (repeated)
        return request.commit == (current.state == State::kCompleteCommit)
                   ? kDone
                   : refuse(ErrorCode::kInvalidTxnState);
      return request.commit ? refuse(ErrorCode::kInvalidTxnState) : kPrepare;
  }
  return refuse(ErrorCode::kInvalidTxnState);
}

ProducerEpoch next(ProducerEpoch epoch) {
  return ProducerEpoch{static_cast<std::int16_t>(epoch.value + 1)};
}

}  // namespace

Transaction TransactionShard::prepared(const Transaction& current, bool commit,
                                       TransactionVersion client_version, const Now& now) const {
  Transaction next_one = current;
  next_one.state = commit ? State::kPrepareCommit : State::kPrepareAbort;
  next_one.client_version = client_version;
  next_one.last_update = now.wall;
  if (client_version >= kEpochBumpVersion) next_one.producer.epoch = next(current.producer.epoch);
  if (current.state != State::kOngoing) {  // aborted before it had a partition
    next_one.partitions.clear();
    next_one.start = now.wall;
  }
  return next_one;
}

Transaction TransactionShard::fenced(const Transaction& current, const Now& now) const {
  Transaction next_one = prepared(current, false, ports_.version(), now);
  next_one.producer.epoch = next(current.producer.epoch);
  return next_one;
}

Output TransactionShard::end(const EndTransaction& request, std::optional<ProducerId> fresh,
                             const Now& now, Reply<ProducerAnswer> reply) {
  Output out;
  ProducerAnswer answer;
  const Transaction* current = find(request.transactional_id);
  Verdict verdict = refuse(request.transactional_id.empty() ? ErrorCode::kInvalidRequest
                                                            : ErrorCode::kInvalidProducerIdMapping);
  const bool bumps = request.client_version >= kEpochBumpVersion;
  if (current && !request.transactional_id.empty())
    verdict = bumps ? judge_bumped_epoch(*current, request) : judge_same_epoch(*current, request);
  switch (verdict.kind) {
    case Verdict::Kind::kRefuse:
      answer.error = verdict.error;
      break;
    case Verdict::Kind::kAlreadyDone:
      answer.producer = current->producer;
      break;
    case Verdict::Kind::kPrepare: {
      Transaction next_one = prepared(*current, request.commit, request.client_version, now);
      answer.producer = next_one.producer;
      if (bumps && current->is_epoch_exhausted()) {
        if (!fresh) {
          answer.needs_producer_id = true;
          break;
        }
        next_one.next_id = *fresh;
        answer.producer = {*fresh, ProducerEpoch{0}};
      }
      write_prepared(request.transactional_id, std::move(next_one), now, out);
      break;
    }
  }
  out.on_committed.push_back([reply = std::move(reply), answer](ErrorCode error) mutable {
    reply(error == ErrorCode::kNone ? answer : ProducerAnswer{.error = error});
  });
  return out;
}

void TransactionShard::write_prepared(const std::string& transactional_id, Transaction next_one,
                                      const Now& now, Output& out) {
  out.records.push_back(transaction_record(transactional_id, next_one, ports_.version()));
  // If the commit is not seen to succeed, the timer looks again.
  next_send_ = now.now + kSendRetry;
  out.on_committed.push_back([this, transactional_id](ErrorCode error) {
    if (error == ErrorCode::kNone) start_sending(transactional_id);
  });
}

void TransactionShard::start_sending(const std::string& transactional_id) {
  const auto at = transactions_.find(transactional_id);
  if (at == transactions_.end() || at->second.sending || !at->second.transaction.is_prepared())
    return;
  at->second.sending = true;
  to_send_.erase(transactional_id);
  const Transaction& transaction = at->second.transaction;
  ports_.send_markers({.transactional_id = transactional_id,
                       .coordinator_partition = partition_,
                       .producer = transaction.producer,
                       .commit = transaction.state == State::kPrepareCommit,
                       .coordinator_epoch = epoch_,
                       .version = transaction.client_version,
                       .partitions = transaction.partitions});
}

Output TransactionShard::markers_written(const std::string& transactional_id,
                                         ProducerIdAndEpoch producer, const Now& now) {
  Output out;
  const auto at = transactions_.find(transactional_id);
  if (at == transactions_.end() || !at->second.transaction.is_prepared() ||
      at->second.transaction.producer != producer)
    return out;
  Transaction next_one = at->second.transaction;
  next_one.state =
      next_one.state == State::kPrepareCommit ? State::kCompleteCommit : State::kCompleteAbort;
  next_one.partitions.clear();
  next_one.last_update = now.wall;
  if (next_one.next_id != kNoProducer) {
    next_one.previous_id = next_one.producer.id;
    next_one.producer = {next_one.next_id, ProducerEpoch{0}};
    next_one.next_id = kNoProducer;
  }
  out.records.push_back(transaction_record(transactional_id, next_one, ports_.version()));
  next_send_ = now.now + kSendRetry;
  out.on_committed.push_back([this, transactional_id](ErrorCode error) {
    const auto found = transactions_.find(transactional_id);
    // Not written: markers may be repeated, a transaction must not stay as it is.
    if (error == ErrorCode::kNone || found == transactions_.end() ||
        !found->second.transaction.is_prepared())
      return;
    found->second.sending = false;
    to_send_.insert(transactional_id);
  });
  return out;
}

void TransactionShard::abort_timed_out(const Now& now, Output& out) {
  next_abort_check_ = now.now + options_.abort_check_interval;
  std::size_t aborted = 0;
  for (const auto& [id, entry] : transactions_) {
    const Transaction& each = entry.transaction;
    if (each.state != State::kOngoing || each.start + each.timeout.count() >= now.wall) continue;
    if (++aborted > kMaxPerSweep) {
      next_abort_check_ = now.now + kNextSweep;
      break;
    }
    log_info("transaction", "aborting a transaction that timed out",
             {{"transactional_id", id},
              {"producer", each.producer.id.value},
              {"epoch", each.producer.epoch.value}});
    write_prepared(id, fenced(each, now), now, out);
  }
}

}  // namespace broker::coordinator::transaction
