#pragma once

#include <map>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/common/time.h"
#include "broker/quorum/election_state.h"
#include "broker/quorum/types.h"

namespace broker::quorum {

/// A member of the quorum or an observer: a node with one disk.
struct ReplicaKey {
  BrokerId id;
  DirectoryId directory;  // zero when not told

  auto operator<=>(const ReplicaKey&) const = default;
};

/// Epoch of the last record and the offset behind it. The greater one is more up to date.
struct LogEnd {
  LeaderEpoch epoch{0};
  Offset offset{0};

  auto operator<=>(const LogEnd&) const = default;
};

enum class RaftRole { kUnattached, kProspective, kCandidate, kLeader, kFollower, kResigned };
std::string_view to_string(RaftRole role);

struct RaftOptions {
  ReplicaKey self;
  bool is_controller = true;  // else it never stands, whatever the voters say
  Duration election_timeout = std::chrono::milliseconds(1000);
  Duration election_backoff_max = std::chrono::milliseconds(1000);
  Duration fetch_timeout = std::chrono::milliseconds(1500);
  std::uint64_t seed = 1;
};

/// The voters that count: those of the newest control record, committed or not.
struct CurrentVoters {
  VoterSet set;
  Offset offset{-1};                   // of that record
  std::optional<VoterSet> previous{};  // in force until the record is committed, if known
};

struct VoteAsk {
  ReplicaKey candidate;
  LeaderEpoch epoch;
  LogEnd log_end;
  bool pre_vote = false;
};

struct VoteAnswer {
  ErrorCode error = ErrorCode::kNone;
  bool granted = false;

  bool operator==(const VoteAnswer&) const = default;
};

/// What the driver sends to voter `to`.
struct SendVote {
  Voter to;
  VoteAsk ask;
  std::uint64_t round = 0;  // comes back with the answer
};
struct SendBeginEpoch {
  Voter to;
  LeaderEpoch epoch;
};
struct SendEndEpoch {
  Voter to;
  LeaderEpoch epoch;
  std::vector<ReplicaKey> preferred;  // most caught up first
};
using RaftSend = std::variant<SendVote, SendBeginEpoch, SendEndEpoch>;

struct RoleChange {
  RaftRole role;
  LeaderAndEpoch leader;
};

/// What one or more calls ask of the driver. `persist` is durable BEFORE anything else of it, and
/// before the answer to the call: a vote that a crash can forget could be given twice.
struct RaftOutput {
  std::optional<ElectionState> persist;
  std::optional<RoleChange> role;
  std::vector<RaftSend> sends;
  std::optional<Offset> high_watermark;  // it rose (as the leader)
};

/// What the leader knows of another replica.
struct ReplicaProgress {
  std::optional<Offset> log_end;  // everything below is on its disk
  Instant last_contact;
  std::optional<Instant> last_fetch;
  std::optional<Instant> last_caught_up;
  Offset leader_end_at_fetch{0};
};

/// KRaft's elections, epochs and high watermark (KIP-595, KIP-853, KIP-996) as a plain object:
/// events go in with the time, what is to be done comes out of take_output(). It knows the log only
/// by its end; records, files and connections are the driver's.
class RaftCore {
 public:
  /// `log_end`: of the log as loaded, all of it on disk. `high_watermark`: what is known committed.
  RaftCore(RaftOptions options, std::optional<ElectionState> stored, CurrentVoters voters,
           LogEnd log_end, Offset high_watermark);

  RaftOutput take_output();
  /// tick() is due then. nullopt: nothing happens by itself.
  std::optional<Instant> next_wake() const;

  /// A sole voter leads at once; other voters stand soon.
  void start(Instant now);
  void tick(Instant now);
  /// No elections from here on. A leader resigns and names its successors.
  void resign(Instant now);

  // --- elections ---
  VoteAnswer on_vote(Instant now, const VoteAsk& ask);
  void on_vote_answer(Instant now, BrokerId from, std::uint64_t round, const VoteAnswer& answer);
  /// No answer. kUnsupportedVersion: the peer knows no pre-vote, so one stands without.
  void on_vote_failure(Instant now, BrokerId from, std::uint64_t round, ErrorCode error);
  /// Errors: kFencedLeaderEpoch for a past epoch.
  ErrorCode on_begin_epoch(Instant now, const LeaderAndEpoch& leader);
  ErrorCode on_end_epoch(Instant now, BrokerId leader, LeaderEpoch epoch,
                         std::span<const ReplicaKey> preferred);
  /// Any answer names a leader and an epoch; old news change nothing.
  void on_leader_seen(Instant now, const LeaderAndEpoch& seen);

  // --- as a follower or an observer ---
  void on_fetched(Instant now);
  /// The connection to the leader is gone. Voters stand soon, observers look around.
  void on_leader_unreachable(Instant now);
  /// What the leader's answer says, once everything below the log end was synced.
  void on_leader_high_watermark(Offset high_watermark);

  // --- the log ---
  /// Appended or truncated.
  void on_log_end(LogEnd log_end);
  /// Everything below `offset` is on this disk.
  void on_synced(Instant now, Offset offset);
  void set_voters(Instant now, CurrentVoters voters);

  // --- as the leader ---
  /// A request of this epoch came from `replica`: it is alive.
  void on_replica_contact(Instant now, const ReplicaKey& replica);
  /// It fetches at `offset`, and what it has below is ours.
  void on_replica_fetched(Instant now, const ReplicaKey& replica, Offset offset);

  RaftRole role() const { return role_; }
  LeaderEpoch epoch() const { return epoch_; }
  std::optional<BrokerId> voted() const {
    return voted_ ? std::optional(voted_->id) : std::nullopt;
  }
  LeaderAndEpoch leader() const;
  bool leads() const { return role_ == RaftRole::kLeader; }
  Offset epoch_start() const { return epoch_start_; }  // of the leader's own epoch
  Offset high_watermark() const { return high_watermark_; }
  /// Something of this leader's own epoch is committed, and so everything before it.
  bool high_watermark_known() const { return leads() && high_watermark_ > epoch_start_; }
  const VoterSet& voters() const { return voters_.set; }
  /// The voter that `replica` is. With kraft.version 0 disks do not count.
  const Voter* voter_of(const ReplicaKey& replica) const;
  bool is_voter() const { return voter_of(options_.self) != nullptr; }
  const std::map<ReplicaKey, ReplicaProgress>& replicas() const { return replicas_; }
  /// Who elected this leader.
  const std::vector<BrokerId>& granting_voters() const { return granting_voters_; }

 private:
  enum class Ballot { kPending, kGranted, kRejected, kFailed };

  void become_unattached(Instant now, LeaderEpoch epoch, std::optional<BrokerId> leader);
  void become_prospective(Instant now);
  void become_candidate(Instant now);
  void become_leader(Instant now);
  void become_follower(Instant now, const LeaderAndEpoch& leader);
  void become_resigned(Instant now);
  void enter(RaftRole role);
  void set_epoch(LeaderEpoch epoch);
  void persist();

  void open_ballot(Instant now, bool pre_vote);
  void count_ballots(Instant now);
  void on_ballot_lost(Instant now);
  bool can_stand() const;
  bool is_leaving() const;
  std::optional<io::Endpoint> endpoint_of(const LeaderAndEpoch& leader) const;
  Duration election_timeout();
  Duration backoff();
  Duration turn();

  void advance_high_watermark(Instant now);
  void begin_epoch_at_silent_voters(Instant now);
  std::optional<Instant> quorum_lost_at() const;
  ReplicaKey key_of(const ReplicaKey& replica) const;
  std::vector<ReplicaKey> successors() const;

  const RaftOptions options_;
  Rng rng_;
  CurrentVoters voters_;
  LogEnd log_end_;
  Offset synced_;
  Offset high_watermark_;
  RaftOutput output_;

  RaftRole role_ = RaftRole::kUnattached;
  LeaderEpoch epoch_{0};
  std::optional<BrokerId> leader_;
  std::optional<io::Endpoint> leader_endpoint_;
  std::optional<ReplicaKey> voted_;
  ElectionState durable_;
  std::optional<Instant> deadline_;  // of the election, the fetch timeout, the back-off
  bool resigned_for_good_ = false;
  int lost_ballots_ = 0;  // in a row

  bool has_fetched_ = false;  // as a follower: from this leader
  bool leader_lost_ = false;  // and its connection broke since
  std::optional<BrokerId> last_leader_;
  std::map<BrokerId, Ballot> ballots_;  // as a prospective or candidate
  std::uint64_t round_ = 0;

  Offset epoch_start_{0};
  std::map<ReplicaKey, ReplicaProgress> replicas_;
  std::vector<BrokerId> granting_voters_;
  Instant begin_again_at_{};
};

}  // namespace broker::quorum
