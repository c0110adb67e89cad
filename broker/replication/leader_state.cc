#include "broker/replication/leader_state.h"

#include <algorithm>

#include "broker/common/check.h"

namespace broker::replication {

LeaderState::LeaderState(BrokerId self, Membership membership, Offset epoch_start, Instant now)
    : self_(self), epoch_start_(epoch_start) {
  update(std::move(membership), now);
}

void LeaderState::update(Membership membership, Instant now) {
  membership_ = std::move(membership);
  std::map<BrokerId, RemoteReplica> remotes;
  for (const BrokerId id : membership_.replicas) {
    if (id == self_) continue;
    const auto known = remotes_.find(id);
    if (known != remotes_.end()) {
      remotes.emplace(id, known->second);
      continue;
    }
    // Members of the ISR get the benefit of the doubt: they count as caught up when they become
    // followers of this leader, or every election would shrink the ISR.
    RemoteReplica fresh;
    if (in_isr(id)) fresh.last_caught_up = now;
    remotes.emplace(id, fresh);
  }
  remotes_ = std::move(remotes);
}

bool LeaderState::in_isr(BrokerId id) const {
  return std::find(membership_.isr.begin(), membership_.isr.end(), id) != membership_.isr.end();
}

std::int32_t LeaderState::effective_min_isr(std::int32_t min_insync_replicas) const {
  return std::min(min_insync_replicas, static_cast<std::int32_t>(membership_.replicas.size()));
}

bool LeaderState::has_enough_replicas(std::int32_t min_insync_replicas) const {
  return static_cast<std::int32_t>(membership_.isr.size()) >=
         effective_min_isr(min_insync_replicas);
}

void LeaderState::note_fetch(BrokerId replica, BrokerEpoch broker_epoch, Offset fetch_offset,
                             Offset leader_end, Instant now) {
  const auto at = remotes_.find(replica);
  if (at == remotes_.end()) return;
  RemoteReplica& remote = at->second;
  remote.broker_epoch = broker_epoch;
  remote.log_end_offset = fetch_offset;
  if (fetch_offset >= leader_end)
    remote.last_caught_up = now;
  else if (remote.leader_end_at_last_fetch.value >= 0 &&
           fetch_offset >= remote.leader_end_at_last_fetch)
    remote.last_caught_up = std::max(remote.last_caught_up, remote.last_fetch);
  remote.last_fetch = now;
  remote.leader_end_at_last_fetch = leader_end;
}

Offset LeaderState::next_high_watermark(Offset current, Offset leader_end,
                                        std::int32_t min_insync_replicas,
                                        std::chrono::milliseconds lag_time_max, Instant now) const {
  if (!has_enough_replicas(min_insync_replicas)) return current;
  Offset lowest = leader_end;
  for (const auto& [id, remote] : remotes_) {
    const bool soon_in_sync =
        remote.log_end_offset.value >= 0 && now - remote.last_caught_up <= lag_time_max;
    if (in_isr(id) || soon_in_sync) lowest = std::min(lowest, remote.log_end_offset);
  }
  return std::max(current, lowest);
}

}  // namespace broker::replication
