#pragma once

#include <cstdint>

namespace broker {

/// Mistakes that the code can be told to make, one at a time, to prove that the simulation notices
/// them. Where one would be made stands `if (has_defect(Defect::k…))`. Only a tree configured with
/// MILLRACE_DEFECTS (preset `defects`, never an image) contains any: elsewhere has_defect() is the
/// constant false, and nothing of it is compiled.
enum class Defect : std::uint8_t {
  kNone,
  // storage
  kDuplicatesAppended,          // an idempotent producer's repetition is written again
  kProducersForgotten,          // their state is not rebuilt when a log is opened
  kRecoveryTrustsTheTail,       // batches behind the recovery point are not checked
  kRecoveryPointTooHigh,        // a log that became shorter keeps its recovery point on disk
  kTruncationNotSynced,         // appends follow before the new end is durable
  kRolledIndexTrusted,          // recovery begins at the recovery point, not one record before it
  kHolesAccepted,               // recovery takes a segment that begins behind the end of the last
  kSegmentsDroppedFirstToLast,  // a truncation that is cut short leaves a hole
  kFlushWithoutSync,            // flushes move the recovery point, nothing reaches the disk
  kFollowersForgetProducers,    // what a follower appends does not count for idempotence
  // quorum
  kVoteNotStored,      // epoch and vote are forgotten by a crash
  kVoteForAnyLog,      // a candidate that lacks records gets the vote
  kElectedByItself,    // without a majority
  kOldEpochCommitted,  // a leader commits records of earlier epochs by counting replicas
  // controller
  kAnyReplicaElected,         // not only those in the ISR
  kUncleanShutdownUnnoticed,  // a broker that lost its page cache stays in the ISR
  // replication
  kAckBeforeReplication,          // the high watermark is the leader's log end
  kHighWatermarkFromOneFollower,  // the best of the ISR, not the last of it
  kNoTruncation,                  // a follower does not ask where its epoch ended
  kIsrTooEarly,                   // a follower that lacks records joins the ISR
  // coordinator
  kOffsetsNotLoaded,     // a new coordinator does not read what the last one wrote
  kOffsetsAckedEarly,    // before they are committed
  kLateCommitsAccepted,  // whatever the member's generation or epoch
  kGivenBeforeRevoked,   // of two members of a consumer group, one still has the partition
  kSessionsForgotten,    // members that a new coordinator knows from the log never expire
  // transactions
  kUnstableRead,           // read_committed consumers get what is still open
  kAbortsNotIndexed,       // or are not told what was aborted
  kTransactionUnverified,  // old clients write to partitions that the coordinator does not know
  kFencedMayCommit,        // a producer that was replaced ends the transaction of the new one
  kMarkersGivenUp,         // a marker that was refused is not tried again
  kDecisionNotResumed,     // a new coordinator does not write the markers that the last one owed
  kPendingOffsetsInForce,  // offsets of a transaction count before it is committed
  kAbortedOffsetsInForce,  // and if it is aborted
};

#ifdef MILLRACE_DEFECTS
inline Defect g_defect = Defect::kNone;  // set before anything runs
inline bool has_defect(Defect defect) { return g_defect == defect; }
#else
constexpr bool has_defect(Defect) { return false; }
#endif

}  // namespace broker
