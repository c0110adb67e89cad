#pragma once

#include <map>
#include <vector>

#include "broker/sim/history.h"

namespace broker::sim {

/// How transactions ended, and what consumers with read_committed saw of them: all of one that was
/// committed, nothing of one that was aborted, all or nothing of one whose end nobody was told.
/// The records of a transaction have consecutive numbers of their producer. There is one reader.
class Transactions {
 public:
  explicit Transactions(History& history) : history_(history) {}

  void begun(RecordId first);
  /// Acknowledged within the transaction that is open; `base` nullopt: it was not said where.
  void wrote(const TopicPartition& partition, std::optional<Offset> base, RecordId first,
             int count);
  /// Somebody was asked to commit what is open: from now on it may be read.
  void commit_asked(std::int32_t producer);
  void committed(std::int32_t producer);
  void aborted(std::int32_t producer);
  /// Nobody will be told how the open one ended.
  void left(std::int32_t producer);
  bool is_open(std::int32_t producer) const;

  /// A consumer with read_committed was given a record.
  void read(const TopicPartition& partition, RecordId id);
  /// At the end, when everything was read.
  void check();

  struct Counts {
    std::uint64_t committed = 0, aborted = 0, unknown = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  enum class State { kOpen, kCommitAsked, kCommitted, kAborted };
  struct Piece {
    TopicPartition partition;
    std::optional<Offset> base;
    RecordId first;
    int count;
  };
  struct Transaction {
    State state = State::kOpen;
    bool is_open = true;  // its producer has not heard how it ended
    std::vector<Piece> pieces;
    std::int64_t read = 0;
    std::int64_t size() const;
  };
  Transaction& newest(std::int32_t producer);

  History& history_;
  std::map<std::int32_t, std::map<std::int64_t, Transaction>> of_;  // by producer, first number
  Counts counts_;
};

}  // namespace broker::sim
