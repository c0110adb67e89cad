#include "broker/quorum/raft_core.h"

#include <gtest/gtest.h>

namespace broker::quorum {
namespace {

using std::chrono::milliseconds;

const Instant kStart = Instant{} + std::chrono::hours(1);

Uuid disk(std::int32_t id) { return Uuid{1, static_cast<std::uint64_t>(id)}; }
ReplicaKey key(std::int32_t id) { return {BrokerId{id}, disk(id)}; }

VoterSet voters(std::vector<std::int32_t> ids, std::int16_t kraft_version = 1) {
  VoterSet set{kraft_version, {}};
  for (const auto id : ids) {
    set.voters.push_back({BrokerId{id},
                          kraft_version == 0 ? kZeroUuid : disk(id),
                          "CONTROLLER",
                          {"node" + std::to_string(id), 9090}});
  }
  return set;
}

LeaderAndEpoch led_by(std::int32_t id, std::int32_t epoch) {
  return {BrokerId{id}, LeaderEpoch{epoch}, std::nullopt};
}

/// Node 1 of a quorum, and the clock.
struct Node {
  explicit Node(VoterSet set, LogEnd end = {}, std::optional<ElectionState> stored = {})
      : core({key(1)}, stored, {std::move(set)}, end, Offset{0}) {
    core.start(now);
  }
  void sleep_until_wake() {
    now = core.next_wake().value();
    core.tick(now);
  }
  std::vector<SendVote> votes() {
    std::vector<SendVote> out;
    for (auto& send : core.take_output().sends) {
      if (auto* vote = std::get_if<SendVote>(&send)) out.push_back(*vote);
    }
    return out;
  }
  /// Stands and gets the pre-vote and the vote of node 2.
  void win() {
    sleep_until_wake();
    for (int ballots = 0; ballots < 2; ++ballots) {
      const auto asked = votes();
      core.on_vote_answer(now, BrokerId{2}, asked.front().round, {ErrorCode::kNone, true});
    }
  }
  void append(Offset end) {
    core.on_log_end({core.epoch(), end});
    core.on_synced(now, end);
  }
  VoteAnswer vote(std::int32_t candidate, std::int32_t epoch, LogEnd end = {}) {
    return core.on_vote(now, {key(candidate), LeaderEpoch{epoch}, end, false});
  }
  VoteAnswer pre_vote(std::int32_t candidate, std::int32_t epoch, LogEnd end = {}) {
    return core.on_vote(now, {key(candidate), LeaderEpoch{epoch}, end, true});
  }

  Instant now = kStart;
  RaftCore core;
};

constexpr VoteAnswer kGranted{ErrorCode::kNone, true};
constexpr VoteAnswer kRefused{ErrorCode::kNone, false};

TEST(RaftCore, ASoleVoterLeadsAtOnceInADurableEpoch) {
  Node node(voters({1}));
  EXPECT_TRUE(node.core.leads());
  const auto output = node.core.take_output();
  EXPECT_EQ(output.persist->epoch, LeaderEpoch{1});
  EXPECT_EQ(output.persist->leader, BrokerId{1});
  EXPECT_EQ(output.role->role, RaftRole::kLeader);
  EXPECT_FALSE(node.core.next_wake());
  node.append(Offset{1});
  EXPECT_EQ(node.core.high_watermark(), Offset{1});
}

TEST(RaftCore, APreVoteChangesNothingUntilAMajorityAgrees) {
  Node node(voters({1, 2, 3}));
  node.sleep_until_wake();
  EXPECT_EQ(node.core.role(), RaftRole::kProspective);
  const auto output = node.core.take_output();
  EXPECT_FALSE(output.persist);
  ASSERT_EQ(output.sends.size(), 2U);
  const auto& ask = std::get<SendVote>(output.sends.front());
  EXPECT_TRUE(ask.ask.pre_vote);
  EXPECT_EQ(ask.ask.epoch, LeaderEpoch{0});
  node.core.on_vote_answer(node.now, BrokerId{2}, ask.round, kGranted);
  EXPECT_EQ(node.core.role(), RaftRole::kCandidate);
  const auto standing = node.core.take_output();
  EXPECT_EQ(standing.persist->epoch, LeaderEpoch{1});
  EXPECT_EQ(standing.persist->voted, BrokerId{1});
  EXPECT_EQ(standing.persist->voted_directory, disk(1));
  EXPECT_FALSE(std::get<SendVote>(standing.sends.front()).ask.pre_vote);
}

TEST(RaftCore, AVoteForAnotherBallotDoesNotCount) {
  Node node(voters({1, 2, 3}));
  node.sleep_until_wake();
  const auto old_round = node.votes().front().round;
  node.core.on_vote_answer(node.now, BrokerId{2}, old_round, kGranted);
  node.core.on_vote_answer(node.now, BrokerId{3}, old_round, kGranted);  // a pre-vote, too late
  EXPECT_EQ(node.core.role(), RaftRole::kCandidate);
}

TEST(RaftCore, APeerWithoutPreVoteIsStoodAgainstAtOnce) {
  Node node(voters({1, 2, 3}));
  node.sleep_until_wake();
  node.core.on_vote_failure(node.now, BrokerId{2}, node.votes().front().round,
                            ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(node.core.role(), RaftRole::kCandidate);
}

TEST(RaftCore, ALostPreVoteReturnsToTheLeaderThatIsStillThere) {
  Node node(voters({1, 2, 3}));
  node.core.on_leader_seen(node.now, led_by(2, 4));
  node.core.on_fetched(node.now);
  node.core.on_leader_unreachable(node.now);
  node.sleep_until_wake();
  ASSERT_EQ(node.core.role(), RaftRole::kProspective);
  const auto round = node.votes().front().round;
  node.core.on_vote_answer(node.now, BrokerId{2}, round, kRefused);
  node.core.on_vote_answer(node.now, BrokerId{3}, round, kRefused);
  EXPECT_EQ(node.core.role(), RaftRole::kFollower);
  EXPECT_EQ(node.core.leader().leader, BrokerId{2});
  EXPECT_EQ(node.core.epoch(), LeaderEpoch{4});
}

TEST(RaftCore, OneVotePerEpochAndItIsDurable) {
  Node node(voters({1, 2, 3}));
  EXPECT_EQ(node.vote(2, 5), kGranted);
  const auto output = node.core.take_output();
  EXPECT_EQ(output.persist->epoch, LeaderEpoch{5});
  EXPECT_EQ(output.persist->voted, BrokerId{2});
  EXPECT_EQ(node.vote(3, 5), kRefused);
  EXPECT_EQ(node.vote(2, 5), kGranted);  // the same once more
  // The same id with another disk is another candidate.
  EXPECT_EQ(node.core.on_vote(node.now, {{BrokerId{2}, disk(9)}, LeaderEpoch{5}, {}, false}),
            kRefused);
  Node restarted(voters({1, 2, 3}), {}, output.persist);
  EXPECT_EQ(restarted.vote(3, 5), kRefused);
  EXPECT_EQ(restarted.vote(2, 5), kGranted);
  EXPECT_EQ(restarted.vote(3, 4).error, ErrorCode::kFencedLeaderEpoch);
}

TEST(RaftCore, ALeaderThatRestartsDoesNotVoteForAnotherInItsEpoch) {
  Node node(voters({1, 2, 3}), {}, ElectionState{BrokerId{1}, LeaderEpoch{3}, {}, {}});
  EXPECT_EQ(node.core.role(), RaftRole::kUnattached);
  EXPECT_FALSE(node.core.leader().leader);
  EXPECT_EQ(node.vote(2, 3), kRefused);
  EXPECT_EQ(node.vote(2, 4), kGranted);
}

TEST(RaftCore, OnlyALogThatIsNotBehindIsVotedFor) {
  Node node(voters({1, 2, 3}), {LeaderEpoch{3}, Offset{10}});
  EXPECT_EQ(node.vote(2, 5, {LeaderEpoch{3}, Offset{9}}), kRefused);
  EXPECT_EQ(node.vote(2, 6, {LeaderEpoch{2}, Offset{99}}), kRefused);
  EXPECT_EQ(node.vote(2, 7, {LeaderEpoch{4}, Offset{1}}), kGranted);
  EXPECT_EQ(node.pre_vote(3, 7, {LeaderEpoch{3}, Offset{9}}), kRefused);
  EXPECT_EQ(node.pre_vote(3, 7, {LeaderEpoch{3}, Offset{10}}), kGranted);
}

TEST(RaftCore, ALogOfTheFutureIsAnInvalidRequest) {
  Node node(voters({1, 2, 3}));
  EXPECT_EQ(node.vote(2, 5, {LeaderEpoch{5}, Offset{9}}).error, ErrorCode::kInvalidRequest);
  EXPECT_EQ(node.pre_vote(2, 5, {LeaderEpoch{5}, Offset{9}}), kGranted);
  EXPECT_EQ(node.pre_vote(2, 5, {LeaderEpoch{6}, Offset{9}}).error, ErrorCode::kInvalidRequest);
}

TEST(RaftCore, AFollowerGivesItsPreVoteOnlyWithoutALiveLeader) {
  Node node(voters({1, 2, 3}));
  node.core.on_leader_seen(node.now, led_by(2, 4));
  EXPECT_EQ(node.pre_vote(3, 4), kGranted);  // it never fetched from that leader
  node.core.on_fetched(node.now);
  EXPECT_EQ(node.pre_vote(3, 4), kRefused);
  EXPECT_EQ(node.vote(3, 4), kRefused);
  node.core.on_leader_unreachable(node.now);
  EXPECT_EQ(node.pre_vote(3, 4), kGranted);
}

TEST(RaftCore, ADroppedConnectionStartsAnElectionSoonAndAFetchStopsIt) {
  Node node(voters({1, 2, 3}));
  node.core.on_leader_seen(node.now, led_by(2, 4));
  node.core.on_fetched(node.now);
  node.core.on_leader_unreachable(node.now);
  EXPECT_LE(*node.core.next_wake() - node.now, milliseconds(100));
  node.core.on_fetched(node.now);
  EXPECT_EQ(*node.core.next_wake() - node.now, milliseconds(1500));
  node.sleep_until_wake();  // frozen
  EXPECT_EQ(node.core.role(), RaftRole::kProspective);
}

TEST(RaftCore, ObserversNeverStand) {
  Node node(voters({2, 3, 4}));
  EXPECT_FALSE(node.core.next_wake());
  node.core.on_leader_seen(node.now, led_by(2, 4));
  EXPECT_EQ(node.core.role(), RaftRole::kFollower);
  node.sleep_until_wake();
  EXPECT_EQ(node.core.role(), RaftRole::kUnattached);
  EXPECT_EQ(node.core.epoch(), LeaderEpoch{4});
  EXPECT_FALSE(node.core.next_wake());
  // Another disk under a voter's id is an observer, too.
  RaftCore reformatted({{BrokerId{2}, disk(77)}}, {}, {voters({2})}, {}, Offset{0});
  reformatted.start(kStart);
  EXPECT_FALSE(reformatted.leads());
}

TEST(RaftCore, WithStaticVotersDisksDoNotCount) {
  RaftCore core({{BrokerId{2}, disk(77)}}, {}, {voters({2}, 0)}, {}, Offset{0});
  core.start(kStart);
  EXPECT_TRUE(core.leads());
}

TEST(RaftCore, TheHighWatermarkNeedsAMajorityAndARecordOfTheLeadersEpoch) {
  Node node(voters({1, 2, 3}), {LeaderEpoch{1}, Offset{10}});
  node.win();
  ASSERT_TRUE(node.core.leads());
  EXPECT_EQ(node.core.epoch_start(), Offset{10});
  node.append(Offset{12});
  node.core.on_replica_fetched(node.now, key(2), Offset{10});
  EXPECT_EQ(node.core.high_watermark(), Offset{0});            // old records only
  node.core.on_replica_fetched(node.now, key(9), Offset{12});  // an observer
  EXPECT_EQ(node.core.high_watermark(), Offset{0});
  node.core.on_replica_fetched(node.now, key(2), Offset{11});
  EXPECT_EQ(node.core.high_watermark(), Offset{11});
  EXPECT_TRUE(node.core.high_watermark_known());
}

TEST(RaftCore, TheLeadersOwnRecordsCountOnceTheyAreSynced) {
  Node node(voters({1, 2, 3}));
  node.win();
  node.core.on_log_end({node.core.epoch(), Offset{5}});
  node.core.on_replica_fetched(node.now, key(2), Offset{5});
  EXPECT_EQ(node.core.high_watermark(), Offset{0});
  node.core.on_replica_fetched(node.now, key(3), Offset{4});  // a majority without the leader
  EXPECT_EQ(node.core.high_watermark(), Offset{4});
  node.core.on_synced(node.now, Offset{5});
  EXPECT_EQ(node.core.high_watermark(), Offset{5});
}

TEST(RaftCore, ALeaderWithoutAMajorityResigns) {
  Node node(voters({1, 2, 3}));
  node.win();
  node.now += milliseconds(1000);
  node.core.on_replica_contact(node.now, key(3));
  node.now += milliseconds(2200);
  node.core.tick(node.now);
  EXPECT_TRUE(node.core.leads());
  node.now += milliseconds(60);
  node.core.tick(node.now);
  EXPECT_EQ(node.core.role(), RaftRole::kResigned);
  node.sleep_until_wake();
  EXPECT_EQ(node.core.role(), RaftRole::kUnattached);
}

TEST(RaftCore, VotersThatDoNotFetchAreToldAgainWhoLeads) {
  Node node(voters({1, 2, 3}));
  node.win();
  EXPECT_EQ(node.core.take_output().sends.size(), 2U);
  node.now += milliseconds(600);
  node.core.on_replica_fetched(node.now, key(2), Offset{0});
  node.now += milliseconds(200);
  node.core.tick(node.now);
  const auto sends = node.core.take_output().sends;
  ASSERT_EQ(sends.size(), 1U);
  EXPECT_EQ(std::get<SendBeginEpoch>(sends.front()).to.id, BrokerId{3});
}

TEST(RaftCore, ALeaderThatLeavesNamesTheMostCaughtUpFirst) {
  Node node(voters({1, 2, 3}));
  node.win();
  node.append(Offset{9});
  node.core.on_replica_fetched(node.now, key(2), Offset{3});
  node.core.on_replica_fetched(node.now, key(3), Offset{8});
  (void)node.core.take_output();
  node.core.resign(node.now);
  const auto sends = node.core.take_output().sends;
  ASSERT_EQ(sends.size(), 2U);
  const auto& end = std::get<SendEndEpoch>(sends.front());
  EXPECT_EQ(end.preferred, (std::vector<ReplicaKey>{key(3), key(2)}));
  EXPECT_FALSE(node.core.next_wake());  // it never stands again
}

TEST(RaftCore, TheFirstSuccessorStandsAtOnceAndTheNextWaits) {
  const std::vector<ReplicaKey> preferred{key(1), key(3)}, other{key(3), key(1)};
  Node first(voters({1, 2, 3})), second(voters({1, 2, 3}));
  for (Node* node : {&first, &second}) {
    node->core.on_leader_seen(node->now, led_by(2, 4));
    node->core.on_fetched(node->now);
  }
  first.core.on_end_epoch(first.now, BrokerId{2}, LeaderEpoch{4}, preferred);
  EXPECT_EQ(first.core.role(), RaftRole::kProspective);
  second.core.on_end_epoch(second.now, BrokerId{2}, LeaderEpoch{4}, other);
  EXPECT_EQ(second.core.role(), RaftRole::kFollower);
  EXPECT_LE(*second.core.next_wake() - second.now, milliseconds(100));
  EXPECT_EQ(second.pre_vote(3, 4), kGranted);
  EXPECT_EQ(second.core.on_end_epoch(second.now, BrokerId{2}, LeaderEpoch{3}, other),
            ErrorCode::kFencedLeaderEpoch);
}

TEST(RaftCore, ALeaderThatRemovedItselfCountsOthersOnlyAndResignsOnceThatIsCommitted) {
  Node node(voters({1, 2, 3}));
  node.win();
  node.append(Offset{5});
  node.core.set_voters(node.now, {voters({2, 3}), Offset{4}});
  node.core.on_replica_fetched(node.now, key(2), Offset{5});
  EXPECT_TRUE(node.core.leads());
  node.core.on_replica_fetched(node.now, key(3), Offset{5});
  EXPECT_EQ(node.core.role(), RaftRole::kResigned);
  EXPECT_EQ(node.core.high_watermark(), Offset{5});
}

TEST(RaftCore, AVoterWhoseRemovalIsNotCommittedMayLeadOnceMore) {
  RaftCore core({key(1)}, {}, {voters({2}), Offset{4}, voters({1, 2})}, {LeaderEpoch{1}, Offset{5}},
                Offset{0});
  core.start(kStart);
  Instant now = *core.next_wake();
  core.tick(now);
  for (int ballots = 0; ballots < 2; ++ballots) {
    const auto sends = core.take_output().sends;
    ASSERT_EQ(sends.size(), 1U);
    core.on_vote_answer(now, BrokerId{2}, std::get<SendVote>(sends.front()).round, kGranted);
  }
  EXPECT_TRUE(core.leads());
  core.on_log_end({core.epoch(), Offset{6}});
  core.on_replica_fetched(now, key(2), Offset{6});
  EXPECT_EQ(core.role(), RaftRole::kResigned);
}

TEST(RaftCore, AHigherEpochUnseatsTheLeader) {
  Node node(voters({1, 2, 3}));
  node.win();
  EXPECT_EQ(node.core.epoch(), LeaderEpoch{1});
  EXPECT_EQ(node.vote(3, 1), kRefused);
  node.core.on_leader_seen(node.now, led_by(3, 2));
  EXPECT_EQ(node.core.role(), RaftRole::kFollower);
  EXPECT_EQ(node.core.leader().endpoint->host, "node3");
}

TEST(RaftCore, AFollowerBelievesNoMoreThanItsDiskHas) {
  Node node(voters({1, 2, 3}));
  node.core.on_leader_seen(node.now, led_by(2, 4));
  node.append(Offset{5});
  node.core.on_leader_high_watermark(Offset{7});
  EXPECT_EQ(node.core.high_watermark(), Offset{5});
  node.core.on_leader_high_watermark(Offset{3});  // it never falls
  EXPECT_EQ(node.core.high_watermark(), Offset{5});
}

}  // namespace
}  // namespace broker::quorum
