#include "broker/sim/transactions.h"

namespace broker::sim {

std::int64_t Transactions::Transaction::size() const {
  std::int64_t size = 0;
  for (const Piece& piece : pieces) size += piece.count;
  return size;
}

Transactions::Transaction& Transactions::newest(std::int32_t producer) {
  return of_.at(producer).rbegin()->second;
}

void Transactions::begun(RecordId first) { of_[first.producer][first.number] = {}; }

bool Transactions::is_open(std::int32_t producer) const {
  const auto known = of_.find(producer);
  return known != of_.end() && known->second.rbegin()->second.is_open;
}

void Transactions::wrote(const TopicPartition& partition, std::optional<Offset> base,
                         RecordId first, int count) {
  newest(first.producer).pieces.push_back({partition, base, first, count});
}

void Transactions::commit_asked(std::int32_t producer) {
  newest(producer).state = State::kCommitAsked;
}

void Transactions::committed(std::int32_t producer) {
  Transaction& transaction = newest(producer);
  transaction.state = State::kCommitted;
  transaction.is_open = false;
  ++counts_.committed;
  for (const Piece& piece : transaction.pieces)
    if (piece.base) history_.acknowledged(piece.partition, *piece.base, piece.first, piece.count);
}

void Transactions::aborted(std::int32_t producer) {
  Transaction& transaction = newest(producer);
  transaction.state = State::kAborted;
  transaction.is_open = false;
  ++counts_.aborted;
  if (transaction.read > 0)
    history_.violation("producer " + std::to_string(producer) + ": " +
                       std::to_string(transaction.read) +
                       " records of a transaction were read as committed, which was aborted");
}

void Transactions::left(std::int32_t producer) {
  newest(producer).is_open = false;
  ++counts_.unknown;
}

void Transactions::read(const TopicPartition& partition, RecordId id) {
  const auto known = of_.find(id.producer);
  if (known == of_.end()) return;
  auto at = known->second.upper_bound(id.number);
  if (at == known->second.begin()) return;
  Transaction& transaction = std::prev(at)->second;
  ++transaction.read;
  const bool may_be_read =
      transaction.state == State::kCommitAsked || transaction.state == State::kCommitted;
  if (may_be_read) return;
  history_.violation(to_string(partition) + ": record " + to_string(id) +
                     " was read as committed, of a transaction that " +
                     (transaction.state == State::kOpen ? "nobody has committed" : "was aborted"));
}

void Transactions::check() {
  for (const auto& [producer, transactions] : of_) {
    for (const auto& [first, transaction] : transactions) {
      const std::int64_t size = transaction.size();
      const bool all = transaction.read == size;
      const bool nothing = transaction.read == 0;
      const bool good = transaction.state == State::kCommitted     ? all
                        : transaction.state == State::kCommitAsked ? all || nothing
                                                                   : nothing;
      if (good) continue;
      return history_.violation("transaction of " + to_string(RecordId{producer, first}) + ": " +
                                std::to_string(transaction.read) + " of " + std::to_string(size) +
                                " records were read, and it was " +
                                (transaction.state == State::kCommitted     ? "committed"
                                 : transaction.state == State::kCommitAsked ? "asked to commit"
                                                                            : "not committed"));
    }
  }
}

}  // namespace broker::sim
