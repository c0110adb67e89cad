#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "broker/common/error_code.h"
#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/metadata/topics_image.h"

namespace broker::replication {

/// When a follower's connection last asked. A session fetch speaks for all of its partitions
/// (KIP-227) but names only those that moved; the others read the time here.
using FetchClock = std::shared_ptr<const Instant>;

/// How far another replica is, as its fetches tell.
struct RemoteReplica {
  Offset log_start_offset{-1};
  Offset log_end_offset{-1};  // -1: has not fetched in this leader epoch
  BrokerEpoch broker_epoch{-1};
  Instant last_caught_up{};
  Instant last_fetch{};
  Offset leader_end_at_last_fetch{-1};
  FetchClock clock;  // may be null
};

/// A change of the ISR for the controller to decide.
struct IsrChange {
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;  // that it is based on
  std::vector<std::pair<BrokerId, BrokerEpoch>> isr;

  bool operator==(const IsrChange&) const = default;
};

/// What the controller made of it.
struct IsrDecision {
  ErrorCode error = ErrorCode::kNone;
  // With kNone:
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  std::vector<BrokerId> isr;
};

/// A leader's knowledge of its replicas and what follows from it: the high watermark, and who
/// belongs into the ISR. Pure.
class LeaderState {
 public:
  struct Membership {
    LeaderEpoch epoch;
    PartitionEpoch partition_epoch;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;  // as the metadata log has it
    metadata::LeaderRecoveryState recovery = metadata::LeaderRecoveryState::kRecovered;
  };

  /// `epoch_start`: the log end when this broker became leader.
  LeaderState(BrokerId self, Membership membership, Offset epoch_start, Instant now);

  /// New ISR or replicas within the same leader epoch: what is known of the others stays. A newer
  /// partition epoch decides a pending change; an older one is ignored.
  void update(Membership membership, Instant now);

  LeaderEpoch epoch() const { return membership_.epoch; }
  PartitionEpoch partition_epoch() const { return membership_.partition_epoch; }
  /// Committed, as the controller has it.
  const std::vector<BrokerId>& isr() const { return membership_.isr; }
  const std::vector<BrokerId>& replicas() const { return membership_.replicas; }
  Offset epoch_start() const { return epoch_start_; }
  const std::map<BrokerId, RemoteReplica>& remotes() const { return remotes_; }

  /// min(min.insync.replicas, number of replicas): a topic with one replica works whatever the
  /// setting (KIP-966).
  std::int32_t effective_min_isr(std::int32_t min_insync_replicas) const;
  /// By the committed ISR: whether an append with acks=all may begin, and the high watermark move.
  bool has_enough_replicas(std::int32_t min_insync_replicas) const;
  /// By the ISR that may be in force: whether what was appended is on enough replicas.
  bool had_enough_replicas(std::int32_t min_insync_replicas) const;

  /// A follower fetched from `fetch_offset`: it has everything below. "Caught up" also means that
  /// it has reached what was the log end at its fetch before.
  void note_fetch(BrokerId replica, BrokerEpoch broker_epoch, Offset fetch_offset,
                  Offset leader_end, Instant now, Offset log_start = Offset{-1},
                  FetchClock clock = nullptr);
  /// The log is about to grow beyond `leader_end`: whoever has all of it was caught up until now.
  void before_append(Offset leader_end);

  /// The epoch that a broker is registered with; nullopt if it is fenced, shutting down or unknown.
  using Eligible = std::function<std::optional<BrokerEpoch>(BrokerId)>;
  /// Where the high watermark may be: everything that all in-sync replicas have, and those that are
  /// about to be (eligible, and caught up within `lag_time_max`). Stays at `current` while the ISR
  /// is smaller than it must be.
  /// `leader_end`: what this broker itself counts as written (flushed, if it must be).
  Offset next_high_watermark(Offset current, Offset leader_end, std::int32_t min_insync_replicas,
                             std::chrono::milliseconds lag_time_max, const Eligible& eligible,
                             Instant now) const;

  // --- ISR. One change at a time; a proposal is pending until on_decision() or update().

  bool is_pending() const { return pending_.has_value(); }
  /// Whether `replica` would be let in, if it is eligible: cheap, for every fetch.
  bool is_candidate(BrokerId replica, Offset high_watermark) const;
  /// Whether `replica` has fetched, this or another partition, within kHeardOf.
  bool was_heard_of(BrokerId replica, Instant now) const;
  static constexpr std::chrono::milliseconds kHeardOf{1'500};
  std::optional<IsrChange> propose_expansion(BrokerId replica, Offset high_watermark,
                                             const Eligible& eligible, Instant now);
  /// Without those that have not been caught up for `lag_time_max`.
  std::optional<IsrChange> propose_shrink(Offset leader_end, std::chrono::milliseconds lag_time_max,
                                          const Eligible& eligible, Instant now);
  /// An ISR of an unclean election is confirmed with the next change, or by itself.
  std::optional<IsrChange> propose_recovered(const Eligible& eligible);
  enum class Verdict {
    kCommitted,  // the new ISR is in force
    kRejected,   // back to the committed one; not again before kRetryPause is over
    kUnknown,    // metadata will tell: the change stays pending
    kRetry,      // to be sent again
  };
  Verdict on_decision(const IsrDecision& decision, Instant now);
  static constexpr std::chrono::milliseconds kRetryPause{200};

 private:
  bool in_isr(BrokerId id) const;
  bool in_maximal_isr(BrokerId id) const;
  /// Whether `id` may join, as the incarnation that fetched.
  bool may_join(BrokerId id, const Eligible& eligible) const;
  IsrChange propose(std::vector<BrokerId> isr, const Eligible& eligible);
  void set(Membership membership, Instant now);

  const BrokerId self_;
  Membership membership_;
  Offset epoch_start_;
  std::map<BrokerId, RemoteReplica> remotes_;
  std::optional<IsrChange> pending_;
  Instant not_before_{};  // for the next proposal
};

}  // namespace broker::replication
