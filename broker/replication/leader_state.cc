#include "broker/replication/leader_state.h"

#include <algorithm>

#include "broker/common/check.h"
#include "broker/common/defect.h"

namespace broker::replication {

LeaderState::LeaderState(BrokerId self, Membership membership, Offset epoch_start, Instant now)
    : self_(self), epoch_start_(epoch_start) {
  set(std::move(membership), now);
}

void LeaderState::update(Membership membership, Instant now) {
  if (membership.partition_epoch < membership_.partition_epoch) return;
  if (membership.partition_epoch > membership_.partition_epoch) pending_.reset();
  set(std::move(membership), now);
}

void LeaderState::set(Membership membership, Instant now) {
  membership_ = std::move(membership);
  std::map<BrokerId, RemoteReplica> remotes;
  for (const BrokerId id : membership_.replicas) {
    if (id == self_) continue;
    const auto known = remotes_.find(id);
    if (known != remotes_.end()) {
      remotes.emplace(id, std::move(known->second));
      continue;
    }
    // Members of the ISR get the benefit of the doubt: they count as caught up when they become
    // followers of this leader, or every election would shrink the ISR.
    RemoteReplica fresh;
    if (in_isr(id)) fresh.last_caught_up = now;
    remotes.emplace(id, std::move(fresh));
  }
  remotes_ = std::move(remotes);
}

bool LeaderState::in_isr(BrokerId id) const {
  return std::find(membership_.isr.begin(), membership_.isr.end(), id) != membership_.isr.end();
}

// An addition counts from the moment it is proposed, a removal when it is committed: whatever the
// controller has decided, nobody in the ISR lacks what is below the high watermark.
bool LeaderState::in_maximal_isr(BrokerId id) const {
  if (in_isr(id)) return true;
  return pending_ && std::any_of(pending_->isr.begin(), pending_->isr.end(),
                                 [&](const auto& member) { return member.first == id; });
}

std::int32_t LeaderState::effective_min_isr(std::int32_t min_insync_replicas) const {
  return std::min(min_insync_replicas, static_cast<std::int32_t>(membership_.replicas.size()));
}

bool LeaderState::has_enough_replicas(std::int32_t min_insync_replicas) const {
  return static_cast<std::int32_t>(membership_.isr.size()) >=
         effective_min_isr(min_insync_replicas);
}

bool LeaderState::had_enough_replicas(std::int32_t min_insync_replicas) const {
  const auto maximal = std::count_if(membership_.replicas.begin(), membership_.replicas.end(),
                                     [&](BrokerId id) { return in_maximal_isr(id); });
  return maximal >= effective_min_isr(min_insync_replicas);
}

void LeaderState::note_fetch(BrokerId replica, BrokerEpoch broker_epoch, Offset fetch_offset,
                             Offset leader_end, Instant now, Offset log_start, FetchClock clock) {
  const auto at = remotes_.find(replica);
  if (at == remotes_.end()) return;
  RemoteReplica& remote = at->second;
  remote.broker_epoch = broker_epoch;
  remote.log_start_offset = log_start;
  remote.log_end_offset = fetch_offset;
  remote.clock = std::move(clock);
  if (fetch_offset >= leader_end)
    remote.last_caught_up = now;
  else if (remote.leader_end_at_last_fetch.value >= 0 &&
           fetch_offset >= remote.leader_end_at_last_fetch)
    remote.last_caught_up = std::max(remote.last_caught_up, remote.last_fetch);
  remote.last_fetch = now;
  remote.leader_end_at_last_fetch = leader_end;
}

void LeaderState::before_append(Offset leader_end) {
  for (auto& [id, remote] : remotes_) {
    if (!remote.clock || remote.log_end_offset < leader_end) continue;
    remote.last_fetch = std::max(remote.last_fetch, *remote.clock);
    remote.last_caught_up = std::max(remote.last_caught_up, remote.last_fetch);
    remote.leader_end_at_last_fetch = leader_end;
  }
}

Offset LeaderState::next_high_watermark(Offset current, Offset leader_end,
                                        std::int32_t min_insync_replicas,
                                        std::chrono::milliseconds lag_time_max,
                                        const Eligible& eligible, Instant now) const {
  if (!has_enough_replicas(min_insync_replicas)) return current;
  Offset lowest = leader_end;
  for (const auto& [id, remote] : remotes_) {
    if (remote.log_end_offset >= lowest) continue;
    const bool soon_in_sync =
        remote.log_end_offset.value >= 0 && now - remote.last_caught_up <= lag_time_max;
    if (in_maximal_isr(id) || (soon_in_sync && may_join(id, eligible)))
      lowest = remote.log_end_offset;
  }
  if (has_defect(Defect::kAckBeforeReplication)) lowest = leader_end;
  if (has_defect(Defect::kHighWatermarkFromOneFollower)) {
    for (const auto& [id, remote] : remotes_) lowest = std::max(lowest, remote.log_end_offset);
  }
  return std::max(current, std::min(lowest, leader_end));
}

// --- ISR

bool LeaderState::is_candidate(BrokerId replica, Offset high_watermark) const {
  if (in_maximal_isr(replica)) return false;
  const auto at = remotes_.find(replica);
  if (has_defect(Defect::kIsrTooEarly)) return at != remotes_.end();
  return at != remotes_.end() && at->second.log_end_offset >= high_watermark &&
         at->second.log_end_offset >= epoch_start_;
}

// What an earlier incarnation of the broker had fetched says nothing about this one.
bool LeaderState::may_join(BrokerId id, const Eligible& eligible) const {
  const auto registered = eligible(id);
  if (!registered) return false;
  const BrokerEpoch fetched_as = remotes_.at(id).broker_epoch;
  return fetched_as.value < 0 || fetched_as == *registered;
}

bool LeaderState::was_heard_of(BrokerId replica, Instant now) const {
  const auto at = remotes_.find(replica);
  if (at == remotes_.end()) return false;
  const RemoteReplica& remote = at->second;
  const Instant heard =
      remote.clock ? std::max(remote.last_fetch, *remote.clock) : remote.last_fetch;
  return now - heard <= kHeardOf;
}

IsrChange LeaderState::propose(std::vector<BrokerId> isr, const Eligible& eligible) {
  IsrChange change{membership_.epoch, membership_.partition_epoch, {}};
  for (const BrokerId id : isr) {
    BrokerEpoch epoch{-1};
    if (id == self_)
      epoch = eligible(id).value_or(epoch);
    else if (const auto remote = remotes_.find(id); remote != remotes_.end())
      epoch = remote->second.broker_epoch;
    change.isr.emplace_back(id, epoch);
  }
  pending_ = change;
  return change;
}

std::optional<IsrChange> LeaderState::propose_expansion(BrokerId replica, Offset high_watermark,
                                                        const Eligible& eligible, Instant now) {
  if (pending_ || now < not_before_ || !is_candidate(replica, high_watermark)) return std::nullopt;
  if (!may_join(replica, eligible)) return std::nullopt;
  std::vector<BrokerId> isr = membership_.isr;
  isr.push_back(replica);
  return propose(std::move(isr), eligible);
}

std::optional<IsrChange> LeaderState::propose_shrink(Offset leader_end,
                                                     std::chrono::milliseconds lag_time_max,
                                                     const Eligible& eligible, Instant now) {
  if (pending_ || now < not_before_) return std::nullopt;
  std::vector<BrokerId> isr;
  for (const BrokerId id : membership_.isr) {
    const auto at = remotes_.find(id);
    const bool lags = at != remotes_.end() && at->second.log_end_offset != leader_end &&
                      now - at->second.last_caught_up > lag_time_max;
    if (!lags) isr.push_back(id);
  }
  if (isr.size() == membership_.isr.size()) return std::nullopt;
  return propose(std::move(isr), eligible);
}

std::optional<IsrChange> LeaderState::propose_recovered(const Eligible& eligible) {
  if (pending_ || membership_.recovery == metadata::LeaderRecoveryState::kRecovered)
    return std::nullopt;
  return propose(membership_.isr, eligible);
}

LeaderState::Verdict LeaderState::on_decision(const IsrDecision& decision, Instant now) {
  switch (decision.error) {
    case ErrorCode::kNone:
      if (decision.leader_epoch != membership_.epoch ||
          decision.partition_epoch < membership_.partition_epoch)
        return Verdict::kUnknown;
      pending_.reset();
      membership_.isr = decision.isr;
      membership_.partition_epoch = decision.partition_epoch;
      membership_.recovery = metadata::LeaderRecoveryState::kRecovered;
      return Verdict::kCommitted;
    case ErrorCode::kOperationNotAttempted:
    case ErrorCode::kIneligibleReplica:
      pending_.reset();
      not_before_ = now + kRetryPause;
      return Verdict::kRejected;
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kFencedLeaderEpoch:
    case ErrorCode::kInvalidUpdateVersion:
    case ErrorCode::kInvalidRequest:
    case ErrorCode::kNewLeaderElected:
      return Verdict::kUnknown;
    default:
      return Verdict::kRetry;
  }
}

}  // namespace broker::replication
