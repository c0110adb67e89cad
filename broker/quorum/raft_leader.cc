// RaftCore: what a leader does, and the log's progress.
#include <algorithm>

#include "broker/common/defect.h"
#include "broker/quorum/raft_core.h"

namespace broker::quorum {
namespace {

/// An observer that was not heard of for so long is forgotten.
constexpr Duration kObserverSession = std::chrono::minutes(5);

}  // namespace

void RaftCore::become_leader(Instant now) {
  granting_voters_.clear();
  for (const auto& [id, ballot] : ballots_) {
    if (ballot == Ballot::kGranted) granting_voters_.push_back(id);
  }
  leader_ = options_.self.id;
  leader_endpoint_.reset();
  deadline_.reset();
  lost_ballots_ = 0;
  epoch_start_ = log_end_.offset;
  persist();
  enter(RaftRole::kLeader);
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id == options_.self.id) continue;
    replicas_[{voter.id, voter.directory_id}].last_contact = now;
    output_.sends.push_back(SendBeginEpoch{voter, epoch_});
  }
  begin_again_at_ = now + options_.fetch_timeout / 2;
}

void RaftCore::begin_epoch_at_silent_voters(Instant now) {
  if (now < begin_again_at_) return;
  begin_again_at_ = now + options_.fetch_timeout / 2;
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id == options_.self.id) continue;
    const auto replica = replicas_.find({voter.id, voter.directory_id});
    const bool silent = replica == replicas_.end() || !replica->second.last_fetch ||
                        now - *replica->second.last_fetch >= options_.fetch_timeout / 2;
    if (silent) output_.sends.push_back(SendBeginEpoch{voter, epoch_});
  }
}

/// When a majority, this leader counted if it votes, will not have been heard of for 1.5 fetch
/// timeouts. nullopt: it needs nobody.
std::optional<Instant> RaftCore::quorum_lost_at() const {
  std::vector<Instant> contacts;
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id == options_.self.id) continue;
    const auto replica = replicas_.find({voter.id, voter.directory_id});
    contacts.push_back(replica == replicas_.end() ? Instant{} : replica->second.last_contact);
  }
  std::size_t needed = voters_.set.voters.size() / 2 + 1;
  if (is_voter()) needed -= 1;
  if (needed == 0 || contacts.size() < needed) return std::nullopt;
  std::sort(contacts.rbegin(), contacts.rend());
  return contacts[needed - 1] + options_.fetch_timeout * 3 / 2;
}

/// Voters by how much of the log they have, most first: who should lead next.
std::vector<ReplicaKey> RaftCore::successors() const {
  std::vector<std::pair<std::int64_t, ReplicaKey>> ranked;
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id == options_.self.id) continue;
    const auto replica = replicas_.find({voter.id, voter.directory_id});
    const bool known = replica != replicas_.end() && replica->second.log_end;
    ranked.push_back({known ? -replica->second.log_end->value : 0, {voter.id, voter.directory_id}});
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<ReplicaKey> keys;
  for (const auto& [rank, key] : ranked) keys.push_back(key);
  return keys;
}

ReplicaKey RaftCore::key_of(const ReplicaKey& replica) const {
  const Voter* voter = voter_of(replica);
  return voter != nullptr ? ReplicaKey{voter->id, voter->directory_id} : replica;
}

void RaftCore::on_replica_contact(Instant now, const ReplicaKey& replica) {
  if (!leads() || replica.id == options_.self.id) return;
  std::erase_if(replicas_, [&](const auto& entry) {
    return voter_of(entry.first) == nullptr && now - entry.second.last_contact > kObserverSession;
  });
  replicas_[key_of(replica)].last_contact = now;
}

void RaftCore::on_replica_fetched(Instant now, const ReplicaKey& replica, Offset offset) {
  on_replica_contact(now, replica);
  if (!leads() || replica.id == options_.self.id) return;
  ReplicaProgress& progress = replicas_[key_of(replica)];
  // Observers are given what is committed and can have no more.
  const Offset end = voter_of(replica) != nullptr ? log_end_.offset : high_watermark_;
  if (offset >= end) {
    progress.last_caught_up = now;
  } else if (progress.last_fetch && offset >= progress.leader_end_at_fetch) {
    progress.last_caught_up = progress.last_fetch;
  }
  progress.log_end = offset;
  progress.last_fetch = now;
  progress.leader_end_at_fetch = end;
  advance_high_watermark(now);
}

void RaftCore::on_log_end(LogEnd log_end) {
  log_end_ = log_end;
  synced_ = std::min(synced_, log_end.offset);
}

void RaftCore::on_synced(Instant now, Offset offset) {
  synced_ = std::min(offset, log_end_.offset);
  advance_high_watermark(now);
}

/// The largest offset that a majority of the voters has on disk, if that includes a record of this
/// leader's own epoch: records of earlier epochs are committed by it only (Raft, section 5.4.2).
void RaftCore::advance_high_watermark(Instant now) {
  if (!leads() || voters_.set.voters.empty()) return;
  std::vector<Offset> ends;
  for (const Voter& voter : voters_.set.voters) {
    if (voter_of(options_.self) == &voter) {
      ends.push_back(synced_);
      continue;
    }
    const auto replica = replicas_.find({voter.id, voter.directory_id});
    const bool known = replica != replicas_.end() && replica->second.log_end;
    ends.push_back(known ? *replica->second.log_end : Offset{-1});
  }
  std::sort(ends.rbegin(), ends.rend());
  const Offset committed = std::min(ends[ends.size() / 2], log_end_.offset);
  const bool of_this_epoch = committed > epoch_start_ || has_defect(Defect::kOldEpochCommitted);
  if (!of_this_epoch || committed <= high_watermark_) return;
  high_watermark_ = committed;
  output_.high_watermark = committed;
  // The change that removed this leader is committed by the others: they choose another.
  if (!is_voter() && high_watermark_ > voters_.offset) become_resigned(now);
}

void RaftCore::set_voters(Instant now, CurrentVoters voters) {
  voters_ = std::move(voters);
  if (leads()) {
    for (const Voter& voter : voters_.set.voters) {
      if (voter.id == options_.self.id) continue;
      const auto [replica, added] = replicas_.try_emplace({voter.id, voter.directory_id});
      if (added) replica->second.last_contact = now;
    }
    return advance_high_watermark(now);
  }
  const bool stands = role_ == RaftRole::kProspective || role_ == RaftRole::kCandidate;
  if (stands && !can_stand()) return become_unattached(now, epoch_, std::nullopt);
  if (role_ == RaftRole::kUnattached && can_stand() && !deadline_) {
    deadline_ = now + election_timeout();
  }
}

}  // namespace broker::quorum
