#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "broker/record/batch.h"

namespace broker::record {

/// A producer whose transaction, begun at this offset, was aborted: as a Fetch of a read_committed
/// consumer names them.
struct AbortedTransaction {
  std::int64_t producer_id = 0;
  std::int64_t first_offset = 0;
};

/// What a read_committed consumer leaves out of one partition's part of a fetch (KIP-98): asked
/// batch after batch, it knows whose transaction is open and will be aborted.
class AbortedTransactions {
 public:
  explicit AbortedTransactions(std::vector<AbortedTransaction> all);

  /// Whether this batch, the next one, holds records of an aborted transaction. False for markers.
  bool covers(const Batch& batch);

 private:
  std::vector<AbortedTransaction> all_;  // by first offset
  std::size_t next_ = 0;
  std::set<std::int64_t> open_;
};

}  // namespace broker::record
