#include "broker/coordinator/transaction/transaction_shard.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/coordinator/transaction/records.h"

namespace broker::coordinator::transaction {

namespace {}  // namespace

TransactionShard::TransactionShard(const TransactionOptions& options, std::int32_t partition,
                                   Ports ports)
    : options_(options), partition_(partition), ports_(std::move(ports)) {}

const Transaction* TransactionShard::find(const std::string& transactional_id) const {
  const auto at = transactions_.find(transactional_id);
  return at == transactions_.end() ? nullptr : &at->second.transaction;
}

// --- Replay

Result<void> TransactionShard::replay(const Record& record) {
  ASSIGN_OR_RETURN(const std::optional<std::string> id, parse_transaction_key(record.key));
  if (!id) return {};  // of a newer version; stays in the log
  const Transaction* before = find(*id);
  if (before && before->state == State::kOngoing) --ongoing_;
  if (!record.value) {
    transactions_.erase(*id);
    to_send_.erase(*id);
    return {};
  }
  ASSIGN_OR_RETURN(Transaction transaction, parse_transaction_value(*record.value));
  if (transaction.state == State::kOngoing) ++ongoing_;
  Entry& entry = transactions_[*id];
  entry.transaction = std::move(transaction);
  entry.last_epoch = kNoEpoch;
  entry.sending = false;
  if (entry.transaction.is_prepared())
    to_send_.insert(*id);
  else
    to_send_.erase(*id);
  return {};
}

void TransactionShard::on_loaded(const Now& now) {
  if (has_defect(Defect::kDecisionNotResumed)) to_send_.clear();
  next_send_ = now.now;
  next_abort_check_ = now.now + options_.abort_check_interval;
  next_expiration_check_ = now.now + options_.expiration_check_interval;
}

// --- Time

std::optional<Instant> TransactionShard::wake_at() const {
  // An idle shard does not wake anybody.
  if (transactions_.empty()) return std::nullopt;
  Instant next = next_expiration_check_;
  if (ongoing_ > 0) next = std::min(next, next_abort_check_);
  if (!to_send_.empty()) next = std::min(next, next_send_);
  return next;
}

Output TransactionShard::tick(const Now& now) {
  Output out;
  if (now.now >= next_abort_check_) abort_timed_out(now, out);
  if (now.now >= next_expiration_check_) expire_ids(now, out);
  if (!to_send_.empty() && now.now >= next_send_) {
    next_send_ = now.now + kSendRetry;
    // Once what was decided is known to be committed.
    out.on_committed.push_back([this](ErrorCode error) {
      if (error != ErrorCode::kNone) return;
      const std::set<std::string> ids = to_send_;
      for (const std::string& id : ids) start_sending(id);
    });
  }
  return out;
}

void TransactionShard::expire_ids(const Now& now, Output& out) {
  next_expiration_check_ = now.now + options_.expiration_check_interval;
  std::size_t expired = 0;
  for (const auto& [id, entry] : transactions_) {
    const Transaction& each = entry.transaction;
    if (each.state == State::kOngoing || each.is_prepared()) continue;
    if (now.wall - each.last_update < options_.id_expiration.count()) continue;
    if (++expired > kMaxPerSweep) {
      next_expiration_check_ = now.now + kNextSweep;
      break;
    }
    out.records.push_back(transaction_tombstone(id));
  }
  if (expired > 0) log_info("transaction", "expired transactional ids", {{"count", expired}});
}

void TransactionShard::resign(ErrorCode) {
  // Nothing waits inside: answers wait for their records.
  transactions_.clear();
  to_send_.clear();
  ports_.forget_markers();
}

// --- Partitions

namespace {

/// What every request of a running producer must satisfy.
ErrorCode check_producer(const std::string& transactional_id, const Transaction* transaction,
                         ProducerIdAndEpoch producer) {
  if (transactional_id.empty()) return ErrorCode::kInvalidRequest;
  if (!transaction || transaction->producer.id != producer.id)
    return ErrorCode::kInvalidProducerIdMapping;
  if (transaction->producer.epoch != producer.epoch) return ErrorCode::kProducerFenced;
  if (transaction->is_prepared()) return ErrorCode::kConcurrentTransactions;
  return ErrorCode::kNone;
}

}  // namespace

Output TransactionShard::add_partitions(const PartitionsOfTransaction& request,
                                        TransactionVersion client_version, const Now& now,
                                        Reply<ErrorCode> reply) {
  Output out;
  const Transaction* current = find(request.transactional_id);
  // Before the epoch is looked at: it may be the one from after the markers that are on their way.
  const ErrorCode refused =
      current && current->is_prepared()
          ? ErrorCode::kConcurrentTransactions
          : check_producer(request.transactional_id, current, request.producer);
  if (refused == ErrorCode::kNone) {
    const bool ongoing = current->state == State::kOngoing;
    const bool known =
        ongoing && std::includes(current->partitions.begin(), current->partitions.end(),
                                 request.partitions.begin(), request.partitions.end());
    if (!known) {
      Transaction next = *current;
      next.state = State::kOngoing;
      if (!ongoing) {
        next.partitions.clear();
        next.start = now.wall;
      }
      next.partitions.insert(request.partitions.begin(), request.partitions.end());
      next.last_update = now.wall;
      next.client_version = client_version;
      out.records.push_back(transaction_record(request.transactional_id, next, ports_.version()));
    }
  }
  out.on_committed.push_back([reply = std::move(reply), refused](ErrorCode error) mutable {
    reply(error == ErrorCode::kNone ? refused : error);
  });
  return out;
}

Output TransactionShard::verify_partitions(const PartitionsOfTransaction& request,
                                           Reply<Verdicts> reply) const {
  const Transaction* current = find(request.transactional_id);
  const ErrorCode refused = check_producer(request.transactional_id, current, request.producer);
  Verdicts verdicts;
  for (const TopicPartition& at : request.partitions) {
    ErrorCode verdict = refused;
    if (verdict == ErrorCode::kNone && !current->partitions.contains(at))
      verdict = ErrorCode::kTransactionAbortable;
    verdicts.emplace(at, verdict);
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), verdicts = std::move(verdicts)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone)
          for (auto& [at, verdict] : verdicts) verdict = error;
        reply(std::move(verdicts));
      });
  return out;
}

// --- Questions

Output TransactionShard::describe(const std::string& transactional_id,
                                  Reply<Described> reply) const {
  Described described;
  described.transactional_id = transactional_id;
  const Transaction* found = find(transactional_id);
  if (transactional_id.empty()) {
    described.error_code = wire(ErrorCode::kInvalidRequest);
  } else if (!found) {
    described.error_code = wire(ErrorCode::kTransactionalIdNotFound);
  } else {
    described.transaction_state = state_name(found->state);
    described.transaction_timeout_ms = static_cast<std::int32_t>(found->timeout.count());
    described.transaction_start_time_ms = found->start;
    described.producer_id = found->producer.id.value;
    described.producer_epoch = found->producer.epoch.value;
    for (const TopicPartition& at : found->partitions) {
      if (described.topics.empty() || described.topics.back().topic != at.topic)
        described.topics.push_back({at.topic, {}});
      described.topics.back().partitions.push_back(at.partition);
    }
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), described = std::move(described)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          Described refused;
          refused.transactional_id = described.transactional_id;
          refused.error_code = wire(error);
          return reply(std::move(refused));
        }
        reply(std::move(described));
      });
  return out;
}

Output TransactionShard::list(const ListFilter& filter, WallMs now, Reply<Listed> reply) const {
  Listed listed;
  for (const auto& [id, entry] : transactions_) {
    const Transaction& each = entry.transaction;
    if (filter.states && !filter.states->contains(each.state)) continue;
    if (!filter.producers.empty() && !filter.producers.contains(each.producer.id)) continue;
    if (filter.running.count() >= 0 && now - each.start <= filter.running.count()) continue;
    if (filter.matches && !filter.matches(id)) continue;
    listed.push_back({id, each.producer.id.value, std::string(state_name(each.state))});
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), listed = std::move(listed)](ErrorCode error) mutable {
        // What cannot be known to be committed is not shown; the rest of the list is.
        if (error != ErrorCode::kNone) listed.clear();
        reply(std::move(listed));
      });
  return out;
}

}  // namespace broker::coordinator::transaction
