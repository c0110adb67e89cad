#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "broker/common/ids.h"
#include "operator/api/cluster.h"
#include "operator/plan/types.h"

namespace op::plan {

/// One replica of the metadata log. A directory id tells two disks of one node apart.
struct QuorumReplica {
  std::int32_t node_id = 0;
  broker::Uuid directory_id;
  bool caught_up = false;  // has what is committed, or had it a moment ago

  bool operator==(const QuorumReplica&) const = default;
};

/// The quorum as its leader describes it.
struct ObservedQuorum {
  std::int32_t leader_id = -1;
  std::vector<QuorumReplica> voters;
  std::vector<QuorumReplica> observers;

  const QuorumReplica* voter(std::int32_t node_id) const;
  bool operator==(const ObservedQuorum&) const = default;
};

/// Nothing is wrong with the voters.
struct KeepVoters {
  bool operator==(const KeepVoters&) const = default;
};
/// A voter and another disk of its node are both there: the one was lost a moment ago, or the other
/// is of the past. Nothing to worry about, but the quorum must be asked again.
struct WatchVoters {
  bool operator==(const WatchVoters&) const = default;
};
/// A voter is lost, but nothing can be done safely at this moment.
struct WaitForQuorum {
  Verdict why;
  bool operator==(const WaitForQuorum&) const = default;
};
struct RemoveVoter {
  std::int32_t node_id = 0;
  broker::Uuid directory_id;
  Verdict why;
  bool operator==(const RemoveVoter&) const = default;
};
struct AddVoter {
  std::int32_t node_id = 0;
  broker::Uuid directory_id;
  Verdict why;
  bool operator==(const AddVoter&) const = default;
};
/// Nodes that are to leave the cluster; they are never added. `may_go`: those of them that hold
/// nothing any more, so that their vote may be taken.
struct LeavingVoters {
  std::set<std::int32_t> all;
  std::set<std::int32_t> may_go;
};
using VoterAction = std::variant<KeepVoters, WatchVoters, WaitForQuorum, RemoveVoter, AddVoter>;

/// A controller whose disk was lost comes back with another directory id, as an observer (KIP-853).
/// When it has caught up, the voter that it was is removed and the one that it is gets added: one
/// change at a time, and only while a majority of those that remain has what is committed. Never
/// touches a voter whose disk is still the one it voted with, unless its node leaves: the quorum's
/// leader last. Controllers that are new are added before any is taken away. Reasons: kVoterLost,
/// and kScaling for what was declared.
VoterAction next_voter_action(const api::Cluster& cluster, const ObservedQuorum& quorum,
                              const LeavingVoters& leaving);

}  // namespace op::plan
