#include "broker/sim/defects.h"

#include <cstdio>
#include <string>

#include "broker/sim/many.h"

namespace broker::sim {

const std::vector<PlantedDefect>& planted_defects() {
  static const std::vector<PlantedDefect> all{
      {Defect::kDuplicatesAppended, "duplicates are appended"},
      {Defect::kProducersForgotten, "producers are forgotten by a restart"},
      {Defect::kFollowersForgetProducers, "producers are forgotten by a failover"},
      {Defect::kFlushWithoutSync, "flushes do not sync"},
      {Defect::kVoteNotStored, "votes are not stored"},
      {Defect::kVoteForAnyLog, "votes for a log that lacks records"},
      {Defect::kElectedByItself, "a controller elects itself"},
      {Defect::kAnyReplicaElected, "a leader from outside the ISR"},
      {Defect::kUncleanShutdownUnnoticed, "unclean shutdowns go unnoticed"},
      {Defect::kAckBeforeReplication, "acknowledged before it is replicated"},
      {Defect::kHighWatermarkFromOneFollower, "the high watermark of the best follower"},
      {Defect::kNoTruncation, "no truncation on a new epoch"},
      {Defect::kIsrTooEarly, "the ISR is joined too early"},
      {Defect::kOffsetsNotLoaded, "offsets are not loaded"},
      {Defect::kOffsetsAckedEarly, "offsets are acknowledged before they are committed"},
      {Defect::kLateCommitsAccepted, "commits of who has lost the partition"},
      {Defect::kGivenBeforeRevoked, "a partition is given before it is let go of"},
      {Defect::kSessionsForgotten, "a new coordinator waits for silent members for ever"},
      {Defect::kUnstableRead, "open transactions are read"},
      {Defect::kAbortsNotIndexed, "aborted transactions are read"},
      {Defect::kTransactionUnverified, "a transaction that its coordinator does not know"},
      {Defect::kFencedMayCommit, "a producer that was replaced commits"},
      {Defect::kMarkersGivenUp, "markers are not tried again"},
      {Defect::kDecisionNotResumed, "a new coordinator forgets what was decided"},
      {Defect::kPendingOffsetsInForce, "offsets of open transactions are in force"},
      {Defect::kAbortedOffsetsInForce, "offsets of aborted transactions are in force"},
  };
  return all;
}

int find_defects(std::uint64_t seeds, int jobs, std::string_view only) {
  int missed = 0;
  for (const PlantedDefect& planted : planted_defects()) {
    if (planted.name.find(only) == std::string_view::npos) continue;
    ManyOptions options;
    options.count = seeds;
    options.jobs = jobs;
    options.defect = planted.defect;
    options.until_failure = true;
    std::string how;
    const ManyResult result = run_many(options, [&how](const Report& report) {
      if (report.violation) how = "seed " + std::to_string(report.seed) + ": " + *report.violation;
    });
    if (result.failed == 0) ++missed;
    std::printf("%-52s %s\n", std::string(planted.name).c_str(),
                result.failed > 0 ? how.c_str() : "NOT FOUND");
    std::fflush(stdout);
  }
  std::printf("%d of %zu planted defects not found\n", missed, planted_defects().size());
  return missed;
}

}  // namespace broker::sim
