#pragma once

#include <map>

#include "broker/common/result.h"
#include "broker/quorum/raft_core.h"
#include "broker/record/batch.h"

namespace broker::quorum {

/// The voter sets of the log by offset: the newest counts although it may not be committed, and is
/// taken back when the log is truncated.
class VoterHistory {
 public:
  /// What holds before the log: the format checkpoint's voters or static ones (`offset` -1), or a
  /// snapshot's (`offset`: its last). Forgets the rest.
  void reset(VoterSet base, Offset offset);
  /// Takes kraft.version and voters out of a control batch of the log. Returns whether it had any.
  Result<bool> add(const record::Batch& batch);
  /// The log ends at `end` now.
  void truncate_to(Offset end);

  CurrentVoters current() const;
  /// In force for records before `end`.
  const VoterSet& at(Offset end) const;
  /// Whether log or snapshot name the voters, so that everybody learns them from there.
  bool is_logged() const { return base_offset_.value >= 0 || !changes_.empty(); }

 private:
  VoterSet base_;
  Offset base_offset_{-1};
  std::map<Offset, VoterSet> changes_;
};

}  // namespace broker::quorum
