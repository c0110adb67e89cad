#include "broker/record/aborted_transactions.h"

#include <algorithm>

#include "broker/record/control_batch.h"

namespace broker::record {

AbortedTransactions::AbortedTransactions(std::vector<AbortedTransaction> all)
    : all_(std::move(all)) {
  std::sort(all_.begin(), all_.end(),
            [](const auto& a, const auto& b) { return a.first_offset < b.first_offset; });
}

bool AbortedTransactions::covers(const Batch& batch) {
  const BatchHeader header = batch.header();
  while (next_ < all_.size() && all_[next_].first_offset <= header.last_offset().value)
    open_.insert(all_[next_++].producer_id);
  const std::int64_t producer = header.producer_id().value;
  if (header.is_control()) {
    const auto marker = parse_txn_marker(batch);
    if (marker.ok() && *marker && (*marker)->type == ControlType::kAbort) open_.erase(producer);
    return false;
  }
  return header.is_transactional() && open_.contains(producer);
}

}  // namespace broker::record
