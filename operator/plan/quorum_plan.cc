#include "operator/plan/quorum_plan.h"

#include <algorithm>

#include "operator/model/names.h"

namespace op::plan {

namespace {

namespace reason = api::reason;

const QuorumReplica* find(const std::vector<QuorumReplica>& replicas, std::int32_t node_id) {
  for (const QuorumReplica& replica : replicas)
    if (replica.node_id == node_id) return &replica;
  return nullptr;
}

/// The node's disk of now among the observers: another one than `voter`'s, and rather one that is
/// current. A leader lists disks of the past for minutes.
const QuorumReplica* present_disk(const ObservedQuorum& quorum, std::int32_t node_id,
                                  const QuorumReplica* voter) {
  const QuorumReplica* found = nullptr;
  for (const QuorumReplica& observer : quorum.observers) {
    if (observer.node_id != node_id) continue;
    if (voter != nullptr && voter->directory_id == observer.directory_id) continue;
    if (found == nullptr || (observer.caught_up && !found->caught_up)) found = &observer;
  }
  return found;
}

std::string name_of(std::int32_t node_id) { return "controller " + std::to_string(node_id); }

/// What would be left if this voter went: how many, and how many of them are current.
struct Rest {
  std::size_t voters = 0;
  std::size_t caught_up = 0;

  bool has_majority() const { return caught_up > voters / 2; }
};

Rest rest_without(const ObservedQuorum& quorum, std::int32_t node_id) {
  Rest rest;
  for (const QuorumReplica& voter : quorum.voters) {
    if (voter.node_id == node_id) continue;
    ++rest.voters;
    rest.caught_up += voter.caught_up ? 1 : 0;
  }
  return rest;
}

VoterAction replace(const ObservedQuorum& quorum, const QuorumReplica& lost,
                    const QuorumReplica& now) {
  const std::string what = name_of(lost.node_id) + " came back with an empty disk";
  if (!now.caught_up)
    return WaitForQuorum{{reason::kVoterLost, what + " and is reading the metadata log"}};
  const Rest rest = rest_without(quorum, lost.node_id);
  if (lost.node_id == quorum.leader_id || rest.voters == 0 || !rest.has_majority())
    return WaitForQuorum{
        {reason::kVoterLost, what + "; the other controllers are not all current"}};
  return RemoveVoter{lost.node_id, lost.directory_id, {reason::kVoterLost, what}};
}

/// Whether it voted once: as one of the first, or as one that was added and seen (fill_voters).
bool was_voter(const api::Cluster& cluster, std::int32_t node_id) {
  const auto& known = cluster.status.initial_controllers;
  return std::any_of(known.begin(), known.end(),
                     [&](const auto& controller) { return controller.node_id == node_id; });
}

const QuorumReplica* next_to_go(const ObservedQuorum& quorum, const LeavingVoters& leaving) {
  const QuorumReplica* found = nullptr;
  for (const QuorumReplica& voter : quorum.voters) {
    if (!leaving.may_go.contains(voter.node_id)) continue;
    if (found == nullptr || found->node_id == quorum.leader_id) found = &voter;
  }
  return found;
}

}  // namespace

const QuorumReplica* ObservedQuorum::voter(std::int32_t node_id) const {
  return find(voters, node_id);
}

VoterAction next_voter_action(const api::Cluster& cluster, const ObservedQuorum& quorum,
                              const LeavingVoters& leaving) {
  if (quorum.leader_id < 0 || quorum.voters.empty()) return KeepVoters{};
  bool two_disks = false;
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    if (!pool.has_role(api::Role::kController)) continue;
    for (const std::int32_t id : model::node_ids(pool)) {
      if (leaving.all.contains(id)) continue;
      const QuorumReplica* voter = quorum.voter(id);
      const QuorumReplica* observer = present_disk(quorum, id, voter);
      const bool is_new = !was_voter(cluster, id);
      const std::string_view why = is_new ? reason::kScaling : reason::kVoterLost;
      if (voter == nullptr && observer == nullptr)
        return WaitForQuorum{{why, name_of(id) + " is no voter and not there"}};
      if (observer == nullptr) continue;
      if (voter != nullptr) {
        two_disks = true;
        if (voter->caught_up) continue;
        return replace(quorum, *voter, *observer);
      }
      const std::string what = name_of(id) + (is_new ? " is new" : " is not a voter any more");
      if (!observer->caught_up)
        return WaitForQuorum{{why, what + " and is reading the metadata log"}};
      return AddVoter{id, observer->directory_id, {why, what}};
    }
  }
  if (const QuorumReplica* going = next_to_go(quorum, leaving)) {
    const std::string what = name_of(going->node_id) + " leaves";
    const Rest rest = rest_without(quorum, going->node_id);
    if (rest.voters == 0 || !rest.has_majority())
      return WaitForQuorum{{reason::kScaling, what + "; the others are not all current"}};
    return RemoveVoter{going->node_id, going->directory_id, {reason::kScaling, what}};
  }
  if (two_disks) return WatchVoters{};
  return KeepVoters{};
}

}  // namespace op::plan
