// RaftCore: roles, elections and what is heard of leaders. The leader's duties are in
// raft_leader.cc.
#include "broker/quorum/raft_core.h"

#include <algorithm>
#include <utility>

#include "broker/common/defect.h"

namespace broker::quorum {
namespace {

using std::chrono::milliseconds;

/// Voters that see a leader vanish stand one after the other, so that two rarely split the votes.
constexpr Duration kTurn = milliseconds(25);
constexpr Duration kTurnJitter = milliseconds(10);
/// After a lost ballot, doubled with every further one.
constexpr Duration kFirstBackoff = milliseconds(40);
constexpr int kMaxBackoffDoublings = 8;
/// How far apart the successors that EndQuorumEpoch names stand.
constexpr Duration kSuccession = milliseconds(50);

const Voter* find_voter(const VoterSet& set, const ReplicaKey& replica) {
  const Voter* voter = set.find(replica.id);
  if (voter == nullptr || set.kraft_version == 0) return voter;
  return voter->directory_id == replica.directory ? voter : nullptr;
}

}  // namespace

std::string_view to_string(RaftRole role) {
  switch (role) {
    case RaftRole::kUnattached:
      return "unattached";
    case RaftRole::kProspective:
      return "prospective";
    case RaftRole::kCandidate:
      return "candidate";
    case RaftRole::kLeader:
      return "leader";
    case RaftRole::kFollower:
      return "follower";
    case RaftRole::kResigned:
      return "resigned";
  }
  return "?";
}

RaftCore::RaftCore(RaftOptions options, std::optional<ElectionState> stored, CurrentVoters voters,
                   LogEnd log_end, Offset high_watermark)
    : options_(options),
      rng_(options.seed),
      voters_(std::move(voters)),
      log_end_(log_end),
      synced_(log_end.offset),
      high_watermark_(high_watermark) {
  if (stored) durable_ = *stored;
  epoch_ = std::max(durable_.epoch, log_end.epoch);
  if (durable_.epoch != epoch_) return;
  if (durable_.voted) voted_ = ReplicaKey{*durable_.voted, durable_.voted_directory};
  // Whoever led this epoch before a restart leads it no more: its log may be shorter now.
  if (durable_.leader == options_.self.id) {
    if (!voted_) voted_ = options_.self;
  } else {
    leader_ = durable_.leader;
  }
}

RaftOutput RaftCore::take_output() { return std::exchange(output_, {}); }

LeaderAndEpoch RaftCore::leader() const {
  if (!leads()) return {leader_, epoch_, leader_ ? leader_endpoint_ : std::nullopt};
  const Voter* self = voter_of(options_.self);
  return {options_.self.id, epoch_, self != nullptr ? std::optional(self->endpoint) : std::nullopt};
}

const Voter* RaftCore::voter_of(const ReplicaKey& replica) const {
  return find_voter(voters_.set, replica);
}

/// Removed by a change that may not be committed: nobody else may have a log long enough to be
/// elected, so this node may have to lead once more, without a vote of its own (Raft dissertation,
/// section 4.2.2).
bool RaftCore::is_leaving() const {
  return voters_.previous && find_voter(*voters_.previous, options_.self) != nullptr &&
         !is_voter() && high_watermark_ <= voters_.offset;
}

bool RaftCore::can_stand() const {
  return options_.is_controller && !resigned_for_good_ && (is_voter() || is_leaving());
}

// --- time ---

std::optional<Instant> RaftCore::next_wake() const {
  if (!leads()) return deadline_;
  const bool alone = std::all_of(voters_.set.voters.begin(), voters_.set.voters.end(),
                                 [&](const Voter& v) { return v.id == options_.self.id; });
  if (alone) return std::nullopt;
  const auto lost_at = quorum_lost_at();
  return lost_at ? std::min(*lost_at, begin_again_at_) : begin_again_at_;
}

void RaftCore::start(Instant now) {
  if (!can_stand()) return;
  if (voters_.set.voters.size() == 1 && is_voter()) return become_candidate(now);
  deadline_ = now + turn();
}

void RaftCore::tick(Instant now) {
  if (leads()) {
    const auto lost_at = quorum_lost_at();
    if (lost_at && now >= *lost_at) return become_resigned(now);
    return begin_epoch_at_silent_voters(now);
  }
  if (!deadline_ || now < *deadline_) return;
  deadline_.reset();
  switch (role_) {
    case RaftRole::kUnattached:
    case RaftRole::kCandidate:
      if (can_stand()) become_prospective(now);
      break;
    case RaftRole::kProspective:
      on_ballot_lost(now);
      break;
    case RaftRole::kFollower:
      if (can_stand()) {
        become_prospective(now);
      } else {
        become_unattached(now, epoch_, leader_);
      }
      break;
    case RaftRole::kResigned:
      // Those who know that this epoch's leader resigned wait for a higher one.
      become_unattached(now, LeaderEpoch{epoch_.value + (can_stand() ? 1 : 0)}, std::nullopt);
      break;
    case RaftRole::kLeader:
      break;
  }
}

Duration RaftCore::election_timeout() {
  const auto span = static_cast<std::uint64_t>(options_.election_timeout.count());
  return options_.election_timeout + Duration(rng_.below(span));
}

Duration RaftCore::backoff() {
  const Duration longest =
      std::min(options_.election_backoff_max,
               kFirstBackoff * (1 << std::min(lost_ballots_, kMaxBackoffDoublings)));
  ++lost_ballots_;
  return longest / 4 + Duration(rng_.below(static_cast<std::uint64_t>(longest.count()) * 3 / 4));
}

/// How long to let others stand first.
Duration RaftCore::turn() {
  int before = 0;
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id < options_.self.id && voter.id != last_leader_) ++before;
  }
  return kTurn * before + Duration(rng_.below(static_cast<std::uint64_t>(kTurnJitter.count())));
}

// --- roles ---

void RaftCore::enter(RaftRole role) {
  role_ = role;
  ballots_.clear();
  if (role != RaftRole::kLeader) replicas_.clear();
  output_.role = RoleChange{role_, leader()};
}

void RaftCore::set_epoch(LeaderEpoch epoch) {
  CHECK(epoch >= epoch_);
  if (epoch > epoch_) voted_.reset();
  epoch_ = epoch;
}

void RaftCore::persist() {
  ElectionState state{leader_, epoch_, std::nullopt, kZeroUuid};
  if (voted_) {
    state.voted = voted_->id;
    state.voted_directory = voted_->directory;
  }
  if (state == durable_) return;
  durable_ = state;
  output_.persist = state;
}

void RaftCore::become_unattached(Instant now, LeaderEpoch epoch, std::optional<BrokerId> leader) {
  const bool waits = role_ == RaftRole::kFollower || role_ == RaftRole::kUnattached ||
                     role_ == RaftRole::kProspective || role_ == RaftRole::kCandidate;
  if (leader == options_.self.id) leader.reset();  // this disk knows nothing of having led it
  set_epoch(epoch);
  leader_ = leader;
  leader_endpoint_.reset();
  // A rising epoch alone is no reason to put off one's own candidacy.
  if (!can_stand()) {
    deadline_.reset();
  } else if (!waits || !deadline_ || *deadline_ <= now) {
    deadline_ = now + election_timeout();
  }
  persist();
  enter(RaftRole::kUnattached);
}

void RaftCore::become_prospective(Instant now) {
  enter(RaftRole::kProspective);
  open_ballot(now, true);
}

void RaftCore::become_candidate(Instant now) {
  set_epoch(LeaderEpoch{epoch_.value + 1});
  voted_ = options_.self;
  leader_.reset();
  leader_endpoint_.reset();
  persist();
  enter(RaftRole::kCandidate);
  open_ballot(now, false);
}

void RaftCore::become_follower(Instant now, const LeaderAndEpoch& leader) {
  set_epoch(leader.epoch);
  leader_ = leader.leader;
  leader_endpoint_ = leader.endpoint;
  last_leader_ = leader_;
  has_fetched_ = false;
  leader_lost_ = false;
  deadline_ = now + options_.fetch_timeout;
  persist();
  enter(RaftRole::kFollower);
}

void RaftCore::become_resigned(Instant now) {
  const auto preferred = successors();
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id != options_.self.id) {
      output_.sends.push_back(SendEndEpoch{voter, epoch_, preferred});
    }
  }
  leader_.reset();
  last_leader_ = options_.self.id;
  deadline_.reset();
  // One that is no voter any more only looks for the next leader, once there may be one.
  if (!resigned_for_good_) deadline_ = now + (can_stand() ? election_timeout() : 2 * kSuccession);
  enter(RaftRole::kResigned);
}

void RaftCore::resign(Instant now) {
  resigned_for_good_ = true;
  if (leads()) become_resigned(now);
  if (role_ == RaftRole::kProspective || role_ == RaftRole::kCandidate) {
    become_unattached(now, epoch_, std::nullopt);
  }
}

// --- asking for votes ---

void RaftCore::open_ballot(Instant now, bool pre_vote) {
  ++round_;
  deadline_ = now + election_timeout();
  for (const Voter& voter : voters_.set.voters) {
    if (voter.id == options_.self.id) {
      ballots_[voter.id] = Ballot::kGranted;
      continue;
    }
    ballots_[voter.id] = Ballot::kPending;
    output_.sends.push_back(
        SendVote{voter, VoteAsk{options_.self, epoch_, log_end_, pre_vote}, round_});
  }
  count_ballots(now);
}

void RaftCore::count_ballots(Instant now) {
  std::size_t granted = 0, rejected = 0, pending = 0;
  for (const auto& [id, ballot] : ballots_) {
    granted += ballot == Ballot::kGranted ? 1 : 0;
    rejected += ballot == Ballot::kRejected ? 1 : 0;
    // A leader that is given up for frozen will not answer.
    pending += ballot == Ballot::kPending && id != last_leader_ ? 1 : 0;
  }
  const std::size_t majority = ballots_.size() / 2 + 1;
  if (granted >= majority || has_defect(Defect::kElectedByItself)) {
    return role_ == RaftRole::kProspective ? become_candidate(now) : become_leader(now);
  }
  if (rejected > ballots_.size() - majority) return on_ballot_lost(now);
  if (pending == 0) deadline_ = std::min(*deadline_, now + backoff());
}

void RaftCore::on_ballot_lost(Instant now) {
  if (role_ == RaftRole::kCandidate) {
    deadline_ = std::min(deadline_.value_or(Instant::max()), now + backoff());
    return;
  }
  if (leader_ && leader_endpoint_) return become_follower(now, leader());
  become_unattached(now, epoch_, leader_);
  deadline_ = now + backoff();
}

void RaftCore::on_vote_answer(Instant now, BrokerId from, std::uint64_t round,
                              const VoteAnswer& answer) {
  const bool open = role_ == RaftRole::kProspective || role_ == RaftRole::kCandidate;
  if (!open || round != round_) return;
  const auto ballot = ballots_.find(from);
  if (ballot == ballots_.end() || ballot->second != Ballot::kPending) return;
  if (answer.error != ErrorCode::kNone) {
    ballot->second = Ballot::kFailed;
  } else {
    ballot->second = answer.granted ? Ballot::kGranted : Ballot::kRejected;
  }
  count_ballots(now);
}

void RaftCore::on_vote_failure(Instant now, BrokerId from, std::uint64_t round, ErrorCode error) {
  if (error == ErrorCode::kUnsupportedVersion && role_ == RaftRole::kProspective &&
      round == round_) {
    return become_candidate(now);
  }
  on_vote_answer(now, from, round,
                 {error == ErrorCode::kNone ? ErrorCode::kNetworkException : error});
}

// --- giving votes ---

VoteAnswer RaftCore::on_vote(Instant now, const VoteAsk& ask) {
  if (ask.epoch < epoch_) return {ErrorCode::kFencedLeaderEpoch};
  const bool possible =
      ask.candidate.id.value >= 0 && ask.log_end.offset.value >= 0 &&
      ask.log_end.epoch.value >= 0 &&
      (ask.pre_vote ? ask.log_end.epoch <= ask.epoch : ask.log_end.epoch < ask.epoch);
  if (!possible) return {ErrorCode::kInvalidRequest};
  if (ask.epoch > epoch_) become_unattached(now, ask.epoch, std::nullopt);

  const bool up_to_date = ask.log_end >= log_end_ || has_defect(Defect::kVoteForAnyLog);
  const bool uncommitted_voter = role_ == RaftRole::kUnattached || role_ == RaftRole::kProspective;
  if (ask.pre_vote) {
    const bool undisturbed = leads() || (role_ == RaftRole::kFollower && has_fetched_);
    return {ErrorCode::kNone, up_to_date && !undisturbed};
  }
  if (!uncommitted_voter) return {ErrorCode::kNone, false};
  if (voted_) return {ErrorCode::kNone, *voted_ == ask.candidate};
  if (leader_ || !up_to_date) return {ErrorCode::kNone, false};
  voted_ = ask.candidate;
  persist();
  deadline_.reset();
  if (can_stand()) deadline_ = now + election_timeout();
  if (role_ != RaftRole::kUnattached) enter(RaftRole::kUnattached);
  return {ErrorCode::kNone, true};
}

// --- hearing of leaders ---

std::optional<io::Endpoint> RaftCore::endpoint_of(const LeaderAndEpoch& leader) const {
  if (leader.endpoint) return leader.endpoint;
  const Voter* voter = leader.leader ? voters_.set.find(*leader.leader) : nullptr;
  return voter != nullptr ? std::optional(voter->endpoint) : std::nullopt;
}

void RaftCore::on_leader_seen(Instant now, const LeaderAndEpoch& seen) {
  if (seen.epoch < epoch_) return;
  const auto endpoint = endpoint_of(seen);
  const bool another = seen.leader && *seen.leader != options_.self.id;
  if (seen.epoch > epoch_) {
    if (another && endpoint) {
      become_follower(now, {seen.leader, seen.epoch, endpoint});
    } else {
      become_unattached(now, seen.epoch, another ? seen.leader : std::nullopt);
    }
    return;
  }
  if (!another || !endpoint || leads() || role_ == RaftRole::kResigned) return;
  if (leader_ && *leader_ != *seen.leader) return;  // one leader per epoch: somebody is wrong
  if (leader_ && leader_endpoint_) return;
  become_follower(now, {seen.leader, seen.epoch, endpoint});
}

ErrorCode RaftCore::on_begin_epoch(Instant now, const LeaderAndEpoch& leader) {
  if (leader.epoch < epoch_) return ErrorCode::kFencedLeaderEpoch;
  // A prospective that knew this leader believes it again.
  if (leader.epoch == epoch_ && role_ == RaftRole::kProspective && leader_ == leader.leader) {
    if (const auto endpoint = endpoint_of(leader)) {
      become_follower(now, {leader.leader, leader.epoch, endpoint});
    }
    return ErrorCode::kNone;
  }
  on_leader_seen(now, leader);
  return ErrorCode::kNone;
}

ErrorCode RaftCore::on_end_epoch(Instant now, BrokerId leader, LeaderEpoch epoch,
                                 std::span<const ReplicaKey> preferred) {
  if (epoch < epoch_) return ErrorCode::kFencedLeaderEpoch;
  if (epoch > epoch_) become_unattached(now, epoch, std::nullopt);
  if (role_ != RaftRole::kFollower || leader_ != leader) {
    if (role_ != RaftRole::kUnattached) return ErrorCode::kNone;
  }
  has_fetched_ = false;  // others may have this node's pre-vote
  last_leader_ = leader;
  if (!can_stand()) return ErrorCode::kNone;
  std::size_t position = 0;
  while (position < preferred.size() && preferred[position].id != options_.self.id) ++position;
  const Instant mine = now + kSuccession * static_cast<int>(position);
  deadline_ = std::min(deadline_.value_or(Instant::max()), mine);
  if (position == 0 && !preferred.empty()) become_prospective(now);
  return ErrorCode::kNone;
}

void RaftCore::on_fetched(Instant now) {
  if (role_ != RaftRole::kFollower) return;
  has_fetched_ = true;
  leader_lost_ = false;
  lost_ballots_ = 0;
  deadline_ = now + options_.fetch_timeout;
}

void RaftCore::on_leader_unreachable(Instant now) {
  if (role_ != RaftRole::kFollower) return;
  if (!can_stand()) return become_unattached(now, epoch_, leader_);
  if (std::exchange(leader_lost_, true)) return;
  has_fetched_ = false;
  const Duration wait = lost_ballots_ == 0 ? turn() : backoff();
  deadline_ = std::min(deadline_.value_or(Instant::max()), now + wait);
}

void RaftCore::on_leader_high_watermark(Offset high_watermark) {
  if (leads()) return;
  high_watermark_ = std::max(high_watermark_, std::min(high_watermark, synced_));
}

}  // namespace broker::quorum
