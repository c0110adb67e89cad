#include "broker/coordinator/transaction/partition_verifier.h"

#include <utility>

#include "broker/common/topic_name.h"
#include "broker/coordinator/runtime/coordinator_runtime.h"

namespace broker::coordinator::transaction {

namespace {

using protocol::AddPartitionsToTxnRequest;
using protocol::AddPartitionsToTxnResponse;

bool belongs_to(const AddPartitionsToTxnRequest::AddPartitionsToTxnTransaction& transaction,
                const replication::TransactionCheck& check) {
  return transaction.producer_id == check.producer_id.value &&
         transaction.producer_epoch == check.producer_epoch.value &&
         transaction.verify_only != check.add_partition;
}

/// Puts the question into the request; false if its transaction stands there with another epoch.
bool add_to(AddPartitionsToTxnRequest& request, const TopicPartition& at,
            const replication::TransactionCheck& check) {
  AddPartitionsToTxnRequest::AddPartitionsToTxnTransaction* transaction = nullptr;
  for (auto& each : request.transactions)
    if (each.transactional_id == check.transactional_id) transaction = &each;
  if (transaction && !belongs_to(*transaction, check)) return false;
  if (!transaction) {
    transaction = &request.transactions.emplace_back();
    transaction->transactional_id = check.transactional_id;
    transaction->producer_id = check.producer_id.value;
    transaction->producer_epoch = check.producer_epoch.value;
    transaction->verify_only = !check.add_partition;
  }
  for (auto& topic : transaction->topics) {
    if (topic.name != at.topic) continue;
    topic.partitions.push_back(at.partition);
    return true;
  }
  transaction->topics.push_back({at.topic, {at.partition}});
  return true;
}

ErrorCode find_answer(const AddPartitionsToTxnResponse& response, const TopicPartition& at,
                      const std::string& transactional_id) {
  // This broker is not allowed to ask: nothing that a client could do about it.
  if (response.error_code != 0) return ErrorCode::kInvalidTxnState;
  for (const auto& transaction : response.results_by_transaction) {
    if (transaction.transactional_id != transactional_id) continue;
    for (const auto& topic : transaction.topic_results) {
      if (topic.name != at.topic) continue;
      for (const auto& partition : topic.results_by_partition)
        if (partition.partition_index == at.partition)
          return static_cast<ErrorCode>(partition.partition_error_code);
    }
  }
  return ErrorCode::kInvalidTxnState;
}

ErrorCode to_client_error(ErrorCode error, const replication::TransactionCheck& check) {
  // The producer may begin anew; only the coordinator itself says that it is fenced for good.
  if (error == ErrorCode::kProducerFenced) return ErrorCode::kInvalidProducerEpoch;
  if (error == ErrorCode::kTransactionAbortable && !check.knows_abortable)
    return ErrorCode::kInvalidTxnState;
  return error;
}

}  // namespace

PartitionVerifier::PartitionVerifier(Options options, Ports ports)
    : options_(options), ports_(std::move(ports)) {}

PartitionVerifier::~PartitionVerifier() { stop(); }

void PartitionVerifier::stop() {
  *alive_ = false;
  lines_.clear();
}

void PartitionVerifier::verify(const TopicPartition& at, replication::TransactionCheck check,
                               UniqueFunction<void(ErrorCode)> done) {
  io::Strand& origin = ports_.strands.current();
  auto question = std::make_shared<Question>();
  question->at = at;
  question->check = std::move(check);
  question->done = [&origin, done = std::move(done)](ErrorCode error) mutable {
    origin.post([done = std::move(done), error]() mutable { done(error); });
  };
  ports_.strands.main().post([this, alive = alive_, question = std::move(question)] {
    if (!*alive) return;
    question->give_up = ports_.strands.main().now() + options_.retry_for;
    enqueue(question);
  });
}

void PartitionVerifier::enqueue(std::shared_ptr<Question> question) {
  const auto broker =
      coordinator_of(kTransactionStateTopic, question->check.transactional_id, *ports_.image());
  if (!broker.ok()) return question->done(broker.code());
  lines_[*broker].waiting.push_back(std::move(question));
  pump(*broker);
}

void PartitionVerifier::pump(BrokerId broker) {
  Line& line = lines_[broker];
  if (line.busy || line.waiting.empty()) return;
  AddPartitionsToTxnRequest request;
  std::vector<std::shared_ptr<Question>> asked;
  std::vector<std::shared_ptr<Question>> later;
  for (auto& question : line.waiting)
    (add_to(request, question->at, question->check) ? asked : later).push_back(std::move(question));
  line.waiting = std::move(later);
  line.busy = true;
  ports_.ask(broker, std::move(request),
             [this, alive = alive_, broker,
              asked = std::move(asked)](const Result<AddPartitionsToTxnResponse>& answer) {
               if (*alive) on_answer(broker, asked, answer);
             });
}

void PartitionVerifier::on_answer(BrokerId broker,
                                  const std::vector<std::shared_ptr<Question>>& asked,
                                  const Result<AddPartitionsToTxnResponse>& answer) {
  lines_[broker].busy = false;
  for (const auto& question : asked)
    settle(question, answer.ok()
                         ? find_answer(*answer, question->at, question->check.transactional_id)
                         : ErrorCode::kNetworkException);
  pump(broker);
}

void PartitionVerifier::settle(const std::shared_ptr<Question>& question, ErrorCode error) {
  // The markers of the transaction before are still on their way: cheaper to wait than to refuse.
  const Instant next = ports_.strands.main().now() + options_.retry_backoff;
  if (error == ErrorCode::kConcurrentTransactions && question->check.add_partition &&
      next <= question->give_up) {
    ports_.strands.main().call_at(next, [this, alive = alive_, question] {
      if (*alive) enqueue(question);
    });
    return;
  }
  question->done(to_client_error(error, question->check));
}

}  // namespace broker::coordinator::transaction
