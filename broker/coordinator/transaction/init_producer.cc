// TransactionShard: who is the one producer of a transactional id.
#include "broker/coordinator/transaction/records.h"
#include "broker/coordinator/transaction/transaction_shard.h"

namespace broker::coordinator::transaction {

namespace {

Output refuse(Reply<ProducerAnswer> reply, ErrorCode refused, bool needs_producer_id = false) {
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), refused, needs_producer_id](ErrorCode error) mutable {
        ProducerAnswer answer;
        answer.error = error == ErrorCode::kNone ? refused : error;
        answer.needs_producer_id = needs_producer_id && error == ErrorCode::kNone;
        reply(answer);
      });
  return out;
}

/// Whether this may be the present producer, or the one before it whose epochs were used up and
/// that never heard of its new id.
bool may_be(const Transaction& current, ProducerIdAndEpoch expected) {
  if (current.producer.id == expected.id) return true;
  return current.previous_id == expected.id && expected.epoch.value >= INT16_MAX - 1;
}

}  // namespace

Output TransactionShard::init_producer(const InitProducer& request, std::optional<ProducerId> fresh,
                                       const Now& now, Reply<ProducerAnswer> reply) {
  if (request.transactional_id.empty()) return refuse(std::move(reply), ErrorCode::kInvalidRequest);
  if (request.timeout.count() <= 0 || request.timeout > options_.max_timeout)
    return refuse(std::move(reply), ErrorCode::kInvalidTransactionTimeout);
  const auto at = transactions_.find(request.transactional_id);
  if (at == transactions_.end()) {
    if (!fresh) return refuse(std::move(reply), ErrorCode::kNone, true);
    Transaction created;
    created.producer = {*fresh, ProducerEpoch{0}};
    return write_producer(request, std::move(created), kNoEpoch, now, std::move(reply));
  }
  const Transaction& current = at->second.transaction;
  if (request.expected && !may_be(current, *request.expected))
    return refuse(std::move(reply), ErrorCode::kProducerFenced);
  if (current.is_prepared()) return refuse(std::move(reply), ErrorCode::kConcurrentTransactions);
  if (current.state == State::kOngoing)
    return fence_ongoing(request.transactional_id, current, now, std::move(reply));

  Transaction next = current;
  const auto expected_epoch =
      request.expected ? std::optional(request.expected->epoch) : std::nullopt;
  if (current.is_epoch_exhausted() &&
      (!expected_epoch || *expected_epoch == current.producer.epoch)) {
    if (!fresh) return refuse(std::move(reply), ErrorCode::kNone, true);
    next.previous_id = current.producer.id;
    next.producer = {*fresh, ProducerEpoch{0}};
    return write_producer(request, std::move(next),
                          expected_epoch ? current.producer.epoch : kNoEpoch, now,
                          std::move(reply));
  }
  ProducerEpoch last_epoch = kNoEpoch;
  if (!expected_epoch || *expected_epoch == current.producer.epoch) {
    if (expected_epoch) last_epoch = current.producer.epoch;
    next.producer.epoch =
        ProducerEpoch{static_cast<std::int16_t>(current.producer.epoch.value + 1)};
  } else if (at->second.last_epoch != kNoEpoch && *expected_epoch == at->second.last_epoch) {
    last_epoch = at->second.last_epoch;  // a repetition: the answer was lost
  } else {
    return refuse(std::move(reply), ErrorCode::kProducerFenced);
  }
  return write_producer(request, std::move(next), last_epoch, now, std::move(reply));
}

Output TransactionShard::write_producer(const InitProducer& request, Transaction next,
                                        ProducerEpoch last_epoch, const Now& now,
                                        Reply<ProducerAnswer> reply) {
  next.state = State::kEmpty;
  next.partitions.clear();
  next.start = -1;
  next.last_update = now.wall;
  next.timeout = request.timeout;
  next.next_id = kNoProducer;
  Output out;
  out.records.push_back(transaction_record(request.transactional_id, next, ports_.version()));
  out.on_committed.push_back([this, id = request.transactional_id, producer = next.producer,
                              last_epoch, reply = std::move(reply)](ErrorCode error) mutable {
    ProducerAnswer answer;
    answer.error = error;
    if (error == ErrorCode::kNone) {
      answer.producer = producer;
      const auto at = transactions_.find(id);
      if (at != transactions_.end() && at->second.transaction.producer == producer)
        at->second.last_epoch = last_epoch;
    }
    reply(answer);
  });
  return out;
}

/// The epoch of this record is never given to anybody: whoever asks again gets a later one.
Output TransactionShard::fence_ongoing(const std::string& transactional_id,
                                       const Transaction& current, const Now& now,
                                       Reply<ProducerAnswer> reply) {
  Output out;
  write_prepared(transactional_id, fenced(current, now), now, out);
  out.on_committed.push_back([reply = std::move(reply)](ErrorCode error) mutable {
    reply({.error = error == ErrorCode::kNone ? ErrorCode::kConcurrentTransactions : error});
  });
  return out;
}

}  // namespace broker::coordinator::transaction
