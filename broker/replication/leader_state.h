#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/time.h"

namespace broker::replication {

/// How far another replica is, as its fetches tell.
struct RemoteReplica {
  Offset log_start_offset{-1};
  Offset log_end_offset{-1};  // -1: has not fetched in this leader epoch
  BrokerEpoch broker_epoch{-1};
  Instant last_caught_up{};
  Instant last_fetch{};
  Offset leader_end_at_last_fetch{-1};
};

/// A leader's knowledge of its replicas and what follows from it: the high watermark. Pure.
class LeaderState {
 public:
  struct Membership {
    LeaderEpoch epoch;
    PartitionEpoch partition_epoch;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;  // as the metadata log has it
  };

  /// `epoch_start`: the log end when this broker became leader.
  LeaderState(BrokerId self, Membership membership, Offset epoch_start, Instant now);

  /// New ISR or replicas within the same leader epoch: what is known of the others stays.
  void update(Membership membership, Instant now);

  LeaderEpoch epoch() const { return membership_.epoch; }
  PartitionEpoch partition_epoch() const { return membership_.partition_epoch; }
  const std::vector<BrokerId>& isr() const { return membership_.isr; }
  const std::vector<BrokerId>& replicas() const { return membership_.replicas; }
  Offset epoch_start() const { return epoch_start_; }
  const std::map<BrokerId, RemoteReplica>& remotes() const { return remotes_; }

  /// min(min.insync.replicas, number of replicas): a topic with one replica works whatever the
  /// setting (KIP-966).
  std::int32_t effective_min_isr(std::int32_t min_insync_replicas) const;
  bool has_enough_replicas(std::int32_t min_insync_replicas) const;

  /// A follower fetched from `fetch_offset`: it has everything below. "Caught up" also means that
  /// it has reached what was the log end at its fetch before.
  void note_fetch(BrokerId replica, BrokerEpoch broker_epoch, Offset fetch_offset,
                  Offset leader_end, Instant now);

  /// Where the high watermark may be: everything that all in-sync replicas, and those that are
  /// about to be, have. Stays at `current` while the ISR is smaller than it must be.
  /// `leader_end`: what this broker itself counts as written (flushed, if it must be).
  Offset next_high_watermark(Offset current, Offset leader_end, std::int32_t min_insync_replicas,
                             std::chrono::milliseconds lag_time_max, Instant now) const;

 private:
  bool in_isr(BrokerId id) const;

  const BrokerId self_;
  Membership membership_;
  Offset epoch_start_;
  std::map<BrokerId, RemoteReplica> remotes_;
};

}  // namespace broker::replication
