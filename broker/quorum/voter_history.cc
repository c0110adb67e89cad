#include "broker/quorum/voter_history.h"

#include "broker/quorum/control_records.h"

namespace broker::quorum {

void VoterHistory::reset(VoterSet base, Offset offset) {
  base_ = std::move(base);
  base_offset_ = offset;
  changes_.clear();
}

Result<bool> VoterHistory::add(const record::Batch& batch) {
  if (!batch.header().is_control()) return false;
  VoterSet set = changes_.empty() ? base_ : changes_.rbegin()->second;
  ASSIGN_OR_RETURN(const bool changes, apply_control_batch(batch, set));
  if (changes) changes_[batch.header().base_offset()] = std::move(set);
  return changes;
}

void VoterHistory::truncate_to(Offset end) {
  changes_.erase(changes_.lower_bound(end), changes_.end());
}

CurrentVoters VoterHistory::current() const {
  if (changes_.empty()) return {base_, base_offset_, std::nullopt};
  const auto last = std::prev(changes_.end());
  const VoterSet& before = last == changes_.begin() ? base_ : std::prev(last)->second;
  return {last->second, last->first, before};
}

const VoterSet& VoterHistory::at(Offset end) const {
  const auto behind = changes_.lower_bound(end);
  return behind == changes_.begin() ? base_ : std::prev(behind)->second;
}

}  // namespace broker::quorum
