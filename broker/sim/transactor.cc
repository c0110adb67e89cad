#include "broker/sim/transactor.h"

#include "broker/common/log.h"
#include "broker/protocol/messages/add_offsets_to_txn_request.h"
#include "broker/protocol/messages/add_offsets_to_txn_response.h"
#include "broker/protocol/messages/add_partitions_to_txn_request.h"
#include "broker/protocol/messages/add_partitions_to_txn_response.h"
#include "broker/protocol/messages/end_txn_request.h"
#include "broker/protocol/messages/end_txn_response.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/protocol/messages/produce_response.h"
#include "broker/protocol/messages/txn_offset_commit_request.h"
#include "broker/protocol/messages/txn_offset_commit_response.h"
#include "broker/record/batch_builder.h"

namespace broker::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Short enough that some transactions are aborted by the coordinator.
constexpr milliseconds kShortestTimeout = seconds(6);
constexpr std::uint64_t kMoreTimeoutMs = 14'000;

/// The last versions before KIP-890: partitions are named to the coordinator first, and EndTxn
/// leaves the epoch as it is.
struct OldProduce : protocol::ProduceRequest {
  static constexpr protocol::VersionRange kVersions{3, 11};
};
struct OldEndTxn : protocol::EndTxnRequest {
  static constexpr protocol::VersionRange kVersions{0, 4};
};
struct OldTxnOffsetCommit : protocol::TxnOffsetCommitRequest {
  static constexpr protocol::VersionRange kVersions{0, 4};
};
/// What clients send; later versions are for brokers.
struct ClientAddPartitions : protocol::AddPartitionsToTxnRequest {
  static constexpr protocol::VersionRange kVersions{0, 3};
};

}  // namespace

Transactor::Transactor(ClientContext& context, std::int32_t id, int partitions, Duration max_pause,
                       bool explicit_partitions, std::uint64_t seed)
    : context_(context),
      transactions_(*context.transactions),
      number_(id),
      transactional_id_("transactor-" + std::to_string(id)),
      group_("transacted-" + std::to_string(id)),
      partitions_(partitions),
      max_pause_(max_pause),
      explicit_partitions_(explicit_partitions),
      rng_(seed) {}

/// For the trace.
void Transactor::note(std::string_view what) const {
  log_info("transactor", what,
           {{"id", number_},
            {"producer", identity_.id},
            {"epoch", identity_.epoch},
            {"transaction", transaction_},
            {"next_record", next_record_}});
}

std::string Transactor::text() const {
  return transactional_id_ + ", producer " + std::to_string(identity_.id) + " epoch " +
         std::to_string(identity_.epoch);
}

void Transactor::wrong(const char* what, ErrorCode error) {
  context_.history.violation(text() + ": " + what + " says " + std::string(error_name(error)));
}

Transactor::Verdict Transactor::judge(ErrorCode error) {
  switch (error) {
    case ErrorCode::kNone:
      return Verdict::kDone;
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kProducerFenced:
      return Verdict::kFenced;
    case ErrorCode::kInvalidTxnState:
    case ErrorCode::kTransactionAbortable:
      return Verdict::kToAbort;
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kUnknownProducerId:
    case ErrorCode::kInvalidProducerIdMapping:
    case ErrorCode::kInvalidTransactionTimeout:
    case ErrorCode::kInvalidRequest:
      return Verdict::kWrong;
    default:
      return Verdict::kAgain;
  }
}

template <class Request>
void Transactor::call(const io::Endpoint& to, Request request,
                      UniqueFunction<void(Result<typename Request::Response>)> done) {
  context_.router.call<Request>(
      to, std::move(request),
      [this, to, life = life_,
       done = std::move(done)](Result<typename Request::Response> response) mutable {
        if (!response.ok() && response.code() == ErrorCode::kRequestTimedOut)
          context_.router.forget(to);
        if (life != life_) return;
        // Before KIP-890 what comes late may hit the next transaction: only a new epoch helps.
        if (!response.ok() && explicit_partitions_ && transactions_.is_open(number_))
          bump_epoch_ = true;
        done(std::move(response));
      },
      kRequestTimeout);
}

template <class Request>
void Transactor::ask_coordinator(Request request,
                                 UniqueFunction<void(typename Request::Response&)> done) {
  call<Request>(
      *coordinator_, std::move(request),
      [this, done = std::move(done)](Result<typename Request::Response> response) mutable {
        if (response.ok()) return done(*response);
        coordinator_.reset();
        again();
      });
}

void Transactor::again() { go(phase_); }

void Transactor::go(Phase phase, Duration max_pause) {
  phase_ = phase;
  context_.strand.call_after(draw(rng_, max_pause), [this, life = life_] {
    if (life == life_) step();
  });
}

void Transactor::step() {
  if (!coordinator_)
    return find_coordinator(context_, CoordinatorType::kTransaction, transactional_id_,
                            [this, life = life_](std::optional<io::Endpoint> found) {
                              if (life != life_) return;
                              coordinator_ = std::move(found);
                              again();
                            });
  switch (phase_) {
    case Phase::kInit:
      return init();
    case Phase::kBegin:
      return begin();
    case Phase::kWrite:
      return write();
    case Phase::kOffset:
      return commit_offset();
    case Phase::kEnd:
      return end();
    case Phase::kLookUp:
      return look_up();
  }
}

// ---- identity

void Transactor::init() {
  protocol::InitProducerIdRequest request;
  request.transactional_id = transactional_id_;
  request.transaction_timeout_ms =
      static_cast<std::int32_t>(kShortestTimeout.count() + rng_.below(kMoreTimeoutMs));
  if (bump_epoch_) {
    request.producer_id = identity_.id;
    request.producer_epoch = identity_.epoch;
  }
  ask_coordinator<protocol::InitProducerIdRequest>(
      std::move(request), [this](protocol::InitProducerIdResponse& response) {
        const auto error = static_cast<ErrorCode>(response.error_code);
        switch (judge(error)) {
          case Verdict::kDone:
            return on_identity({response.producer_id, response.producer_epoch});
          case Verdict::kFenced:  // by a timeout, as nobody else has this transactional id
            bump_epoch_ = false;
            return again();
          case Verdict::kAgain:
            return on_trouble("InitProducerId", error);
          default:
            return wrong("InitProducerId", error);
        }
      });
}

void Transactor::on_identity(Identity identity) {
  if (identity.id == identity_.id && identity.epoch <= identity_.epoch) {
    return context_.history.violation(text() + " was given epoch " +
                                      std::to_string(identity.epoch) + " afterwards");
  }
  settle(false, commits_asked_ == 0);  // whatever was open is over now
  identity_ = identity;
  note("has a new epoch");
  bump_epoch_ = false;
  next_sequences_.clear();
  if (const auto zombie = std::exchange(zombie_, std::nullopt); zombie)
    context_.strand.call_after(draw(rng_, seconds(5)), [this, it = *zombie] { haunt(it); });
  go(Phase::kBegin, max_pause_);
}

/// A new producer of the same transactional id, that knows nothing of the one before.
void Transactor::replace() {
  note("is replaced");
  ++life_;
  zombie_.reset();
  if (commits_asked_ == 0 && piece_.count > 0)
    zombie_ = Zombie{identity_, piece_.partition, next_sequences_[piece_.partition]};
  bump_epoch_ = false;
  coordinator_.reset();
  go(Phase::kInit, seconds(2));
}

/// The one that was replaced wants to commit, or writes on: neither may work.
void Transactor::haunt(const Zombie& zombie) {
  if (rng_.below(2) == 0) {
    protocol::EndTxnRequest request;
    request.transactional_id = transactional_id_;
    request.producer_id = zombie.identity.id;
    request.producer_epoch = zombie.identity.epoch;
    request.committed = true;
    if (!coordinator_) return;
    const auto done = [this](Result<protocol::EndTxnResponse> response) {
      if (response.ok() && response->error_code == 0)
        context_.history.violation(text() + ": one that was replaced has committed");
    };
    if (explicit_partitions_) {
      return context_.router.call<OldEndTxn>(*coordinator_, OldEndTxn{std::move(request)}, done,
                                             kRequestTimeout);
    }
    return context_.router.call<protocol::EndTxnRequest>(*coordinator_, std::move(request), done,
                                                         kRequestTimeout);
  }
  const auto leader = context_.router.leader({context_.topic, zombie.partition});
  if (!leader) return;
  const Piece piece{zombie.partition, next_record_++, 1};
  context_.router.call<protocol::ProduceRequest>(
      leader->endpoint, produce_request(zombie.identity, piece, zombie.sequence, leader->topic_id),
      [this](Result<protocol::ProduceResponse> response) {
        if (response.ok() &&
            response->responses.front().partition_responses.front().error_code == 0)
          context_.history.violation(text() + ": one that was replaced was acknowledged");
      },
      kRequestTimeout);
}

// ---- a transaction

void Transactor::begin() {
  if (context_.stop) return go(Phase::kLookUp);
  ++transaction_;
  pieces_left_ = 1 + static_cast<int>(rng_.below(4));
  piece_ = {};
  added_.clear();
  something_added_ = false;
  group_added_ = false;
  with_offset_ = rng_.below(2) == 0;
  commit_ = rng_.below(4) > 0;
  commits_asked_ = 0;
  note("begins");
  transactions_.begun({number_, next_record_});
  write();
}

void Transactor::write() {
  phase_ = Phase::kWrite;
  if (piece_.count == 0) {
    if (pieces_left_-- == 0) return go(with_offset_ ? Phase::kOffset : Phase::kEnd);
    piece_ = {static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(partitions_))),
              next_record_, 1 + static_cast<int>(rng_.below(3))};
    next_record_ += piece_.count;
  }
  if (explicit_partitions_ && !added_.contains(piece_.partition)) return add_partition();
  produce();
}

void Transactor::add_partition() {
  ClientAddPartitions request;
  request.v3_and_below_transactional_id = transactional_id_;
  request.v3_and_below_producer_id = identity_.id;
  request.v3_and_below_producer_epoch = identity_.epoch;
  request.v3_and_below_topics.push_back({context_.topic, {piece_.partition}});
  something_added_ = true;  // perhaps
  ask_coordinator<ClientAddPartitions>(
      std::move(request), [this](protocol::AddPartitionsToTxnResponse& response) {
        const auto error = static_cast<ErrorCode>(response.results_by_topic_v3_and_below.front()
                                                      .results_by_partition.front()
                                                      .partition_error_code);
        if (error != ErrorCode::kNone) return on_trouble("AddPartitionsToTxn", error);
        added_.insert(piece_.partition);
        write();
      });
}

protocol::ProduceRequest Transactor::produce_request(Identity as, const Piece& piece,
                                                     std::int32_t sequence,
                                                     const Uuid& topic_id) const {
  record::BatchBuilder builder({.producer_id = ProducerId{as.id},
                                .producer_epoch = ProducerEpoch{as.epoch},
                                .base_sequence = sequence,
                                .transactional = true});
  for (int i = 0; i < piece.count; ++i)
    builder.add(context_.strand.wall_now(), to_string(RecordId{number_, piece.first_number + i}),
                "in a transaction");
  protocol::ProduceRequest request;
  request.transactional_id = transactional_id_;
  request.acks = -1;
  request.timeout_ms = 3000;
  request.topic_data.push_back({context_.topic, topic_id, {}});
  request.topic_data.back().partition_data.push_back({piece.partition, builder.build().value()});
  return request;
}

void Transactor::produce() {
  const auto leader = context_.router.leader({context_.topic, piece_.partition});
  if (!leader) return on_trouble("Metadata", ErrorCode::kLeaderNotAvailable);
  protocol::ProduceRequest request =
      produce_request(identity_, piece_, next_sequences_[piece_.partition], leader->topic_id);
  something_added_ = true;
  if (rng_.below(30) == 0) return give_up_while_it_flies(leader->endpoint, std::move(request));
  const auto done = [this](Result<protocol::ProduceResponse> response) {
    if (!response.ok()) return on_written(response.code(), -1);
    const auto& partition = response->responses.front().partition_responses.front();
    on_written(static_cast<ErrorCode>(partition.error_code), partition.base_offset);
  };
  if (explicit_partitions_) {
    call<OldProduce>(leader->endpoint, OldProduce{std::move(request)}, done);
  } else {
    call<protocol::ProduceRequest>(leader->endpoint, std::move(request), done);
  }
}

/// The network holds the request back; it may arrive when the transaction is long over.
void Transactor::give_up_while_it_flies(const io::Endpoint& leader,
                                        protocol::ProduceRequest request) {
  context_.strand.call_after(
      draw(rng_, seconds(3)), [this, leader, request = std::move(request)]() mutable {
        if (explicit_partitions_) {
          return context_.router.call<OldProduce>(
              leader, OldProduce{std::move(request)}, [](const auto&) {}, kRequestTimeout);
        }
        context_.router.call<protocol::ProduceRequest>(
            leader, std::move(request), [](const auto&) {}, kRequestTimeout);
      });
  bump_epoch_ = explicit_partitions_;
  commit_ = false;
  go(Phase::kEnd);
}

void Transactor::on_written(ErrorCode error, std::int64_t base) {
  if (error != ErrorCode::kNone && error != ErrorCode::kDuplicateSequenceNumber) {
    // Who gives up does not know what of it will still arrive.
    if (judge(error) == Verdict::kAgain && rng_.below(4) == 0) {
      bump_epoch_ = explicit_partitions_;
      commit_ = false;
      return go(Phase::kEnd);
    }
    return on_trouble("Produce", error);
  }
  transactions_.wrote({context_.topic, piece_.partition},
                      error == ErrorCode::kNone ? std::optional(Offset{base}) : std::nullopt,
                      {number_, piece_.first_number}, piece_.count);
  next_sequences_[piece_.partition] += piece_.count;
  if (rng_.below(25) == 0) return replace();
  piece_.count = 0;
  go(Phase::kWrite, milliseconds(100));
}

// ---- offsets

void Transactor::commit_offset() {
  if (explicit_partitions_ && !group_added_) return add_group();
  find_coordinator(context_, CoordinatorType::kGroup, group_,
                   [this, life = life_](std::optional<io::Endpoint> found) {
                     if (life != life_) return;
                     if (!found) return again();
                     write_offset(*found);
                   });
}

void Transactor::add_group() {
  protocol::AddOffsetsToTxnRequest request;
  request.transactional_id = transactional_id_;
  request.producer_id = identity_.id;
  request.producer_epoch = identity_.epoch;
  request.group_id = group_;
  ask_coordinator<protocol::AddOffsetsToTxnRequest>(
      std::move(request), [this](protocol::AddOffsetsToTxnResponse& response) {
        const auto error = static_cast<ErrorCode>(response.error_code);
        if (error != ErrorCode::kNone) return on_trouble("AddOffsetsToTxn", error);
        group_added_ = true;
        commit_offset();
      });
}

void Transactor::write_offset(const io::Endpoint& group_coordinator) {
  protocol::TxnOffsetCommitRequest request;
  request.transactional_id = transactional_id_;
  request.group_id = group_;
  request.producer_id = identity_.id;
  request.producer_epoch = identity_.epoch;
  request.topics.push_back({context_.topic, {}});
  protocol::TxnOffsetCommitRequest::TxnOffsetCommitRequestPartition partition;
  partition.committed_offset = transaction_;
  partition.committed_metadata = "";
  request.topics.back().partitions.push_back(std::move(partition));
  const auto done = [this](Result<protocol::TxnOffsetCommitResponse> response) {
    const auto error =
        response.ok()
            ? static_cast<ErrorCode>(response->topics.front().partitions.front().error_code)
            : response.code();
    if (error != ErrorCode::kNone) return on_trouble("TxnOffsetCommit", error);
    go(Phase::kEnd);
  };
  if (explicit_partitions_) {
    call<OldTxnOffsetCommit>(group_coordinator, OldTxnOffsetCommit{std::move(request)}, done);
  } else {
    call<protocol::TxnOffsetCommitRequest>(group_coordinator, std::move(request), done);
  }
}

/// The group has to have what was committed last; who is cut off may say so later.
void Transactor::look_up() {
  find_coordinator(
      context_, CoordinatorType::kGroup, group_,
      [this, life = life_](std::optional<io::Endpoint> found) {
        if (life != life_) return;
        if (!found) return again();
        fetch_group_offset(
            context_, *found, group_, [this, life, node = *found](std::optional<std::int64_t> at) {
              if (life != life_) return;
              if (!at || !context_.history.offset_fetched(group_, *at, io::to_string(node)))
                return again();
              if (context_.stop) {
                idle_ = true;
                return;
              }
              go(Phase::kBegin, max_pause_);
            });
      });
}

// ---- the end of a transaction

void Transactor::end() {
  if (!commit_ && !something_added_ && !group_added_) {  // nobody knows of it
    settle(false, true);
    return go(bump_epoch_ ? Phase::kInit : Phase::kBegin, max_pause_);
  }
  protocol::EndTxnRequest request;
  request.transactional_id = transactional_id_;
  request.producer_id = identity_.id;
  request.producer_epoch = identity_.epoch;
  request.committed = commit_;
  if (commit_ && commits_asked_++ == 0) {
    transactions_.commit_asked(number_);
    if (with_offset_) context_.history.commit_started(group_, transaction_);
  }
  const auto done = [this](protocol::EndTxnResponse& response) {
    on_ended(static_cast<ErrorCode>(response.error_code),
             {response.producer_id, response.producer_epoch});
  };
  note(commit_ ? "asks to commit" : "asks to abort");
  const bool leave = rng_.below(25) == 0;
  if (explicit_partitions_) {
    ask_coordinator<OldEndTxn>(OldEndTxn{std::move(request)}, done);
  } else {
    ask_coordinator<protocol::EndTxnRequest>(std::move(request), done);
  }
  if (leave) replace();
}

void Transactor::on_ended(ErrorCode error, Identity next) {
  switch (judge(error)) {
    case Verdict::kDone:
      settle(commit_, true);
      if (next.id >= 0 && !explicit_partitions_) {
        identity_ = next;
        next_sequences_.clear();
      }
      if (bump_epoch_) return go(Phase::kInit);
      return go(rng_.below(3) == 0 ? Phase::kLookUp : Phase::kBegin, max_pause_);
    case Verdict::kAgain:
      return on_trouble("EndTxn", error);
    case Verdict::kFenced:
    case Verdict::kToAbort:
      // A timeout was faster; or an answer that was lost said otherwise.
      settle(false, commits_asked_ <= 1);
      return go(Phase::kInit);
    case Verdict::kWrong:
      return wrong("EndTxn", error);
  }
}

void Transactor::settle(bool committed, bool known) {
  if (!transactions_.is_open(number_)) return;
  if (commits_asked_ > 0 && with_offset_)
    context_.history.commit_ended(group_, transaction_, committed && known, !known, "");
  note(!known ? "will not know the end" : committed ? "has committed" : "has aborted");
  if (!known) return transactions_.left(number_);
  committed ? transactions_.committed(number_) : transactions_.aborted(number_);
}

void Transactor::on_trouble(const char* what, ErrorCode error) {
  switch (judge(error)) {
    case Verdict::kDone:
    case Verdict::kAgain:
      if (error == ErrorCode::kNotCoordinator || error == ErrorCode::kCoordinatorNotAvailable)
        coordinator_.reset();
      return context_.router.refresh(context_.topic, [this, life = life_] {
        if (life == life_) again();
      });
    case Verdict::kFenced:
      settle(false, commits_asked_ == 0);
      return go(Phase::kInit);
    case Verdict::kToAbort:
      commit_ = false;
      return go(Phase::kEnd);
    case Verdict::kWrong:
      return wrong(what, error);
  }
}

}  // namespace broker::sim
