#pragma once

#include <span>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/quorum/types.h"
#include "broker/record/batch.h"

namespace broker::quorum {

/// Where a control batch goes in the log or in a snapshot.
struct BatchPosition {
  Offset offset;
  LeaderEpoch epoch;
  WallMs timestamp = 0;
};

Slice leader_change_batch(const BatchPosition& at, BrokerId leader, const VoterSet& voters,
                          std::span<const BrokerId> granting_voters);
Slice kraft_version_batch(const BatchPosition& at, std::int16_t kraft_version);
Slice voters_batch(const BatchPosition& at, const VoterSet& voters);
Slice snapshot_header_batch(const BatchPosition& at, WallMs last_contained_log_timestamp);
Slice snapshot_footer_batch(const BatchPosition& at);

/// Takes kraft.version and voters out of a control batch and returns whether it carries any; other
/// control records change nothing. Errors: kCorruptMessage.
Result<bool> apply_control_batch(const record::Batch& batch, VoterSet& voters);

}  // namespace broker::quorum
