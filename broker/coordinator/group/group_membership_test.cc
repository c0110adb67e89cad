#include <gtest/gtest.h>

#include "broker/coordinator/group/harness_for_tests.h"

namespace broker::coordinator::group {
namespace {

TEST(GroupMembership, AClientLearnsItsIdBeforeItJoins) {
  Harness h;
  const auto first = h.join({.version = 4});
  ASSERT_TRUE(first->has_value());
  EXPECT_EQ(error_of(**first), ErrorCode::kMemberIdRequired);
  EXPECT_EQ((*first)->member_id.substr(0, 7), "client-");
  EXPECT_EQ((*first)->member_id.size(), 7u + 36u);

  const auto old = h.join({.group = "old", .version = 3});
  EXPECT_FALSE(old->has_value());  // parked at once
}

TEST(GroupMembership, APendingMemberThatNeverJoinsIsForgotten) {
  Harness h;
  const auto refused = h.join({});
  h.advance(11s);
  EXPECT_EQ(error_of(**h.join({.member = (*refused)->member_id})), ErrorCode::kUnknownMemberId);
}

TEST(GroupMembership, RefusesWhatKafkaRefuses) {
  Harness h;
  EXPECT_EQ(error_of(**h.join({.group = ""})), ErrorCode::kInvalidGroupId);
  EXPECT_EQ(error_of(**h.join({.session_ms = 5'999})), ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(error_of(**h.join({.session_ms = 1'800'001})), ErrorCode::kInvalidSessionTimeout);
  EXPECT_EQ(error_of(**h.join({.member = "stranger"})), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(error_of(**h.join({.protocols = {}})), ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(h.shard->group_count(), 0u);
  h.make_stable({.protocols = {"range"}});
  EXPECT_EQ(error_of(**h.join({.protocols = {"sticky"}})), ErrorCode::kInconsistentGroupProtocol);
}

TEST(GroupMembership, ANewGroupWaitsForMembersToGather) {
  Harness h;
  auto [a, join_a] = h.join_new();
  h.advance(2s);
  auto [b, join_b] = h.join_new();
  h.advance(1s);
  EXPECT_FALSE(join_a->has_value());  // a newcomer extends the delay once more
  h.advance(3s);
  ASSERT_TRUE(join_a->has_value());
  ASSERT_TRUE(join_b->has_value());
  EXPECT_EQ((*join_a)->generation_id, 1);
  EXPECT_EQ((*join_a)->leader, a);
  EXPECT_EQ((*join_a)->members.size(), 2u);
  EXPECT_EQ((*join_b)->leader, a);
  EXPECT_TRUE((*join_b)->members.empty());
  EXPECT_EQ((*join_b)->protocol_type, "consumer");
  EXPECT_EQ((*join_b)->protocol_name, "range");
}

TEST(GroupMembership, FollowersGetTheLeadersAssignment) {
  Harness h;
  auto [a, join_a] = h.join_new();
  auto [b, join_b] = h.join_new();
  h.advance(6s);
  const auto sync_b = h.sync(b, 1);
  EXPECT_FALSE(sync_b->has_value());
  const auto sync_a = h.sync(a, 1, {{a, "left"}, {b, "right"}, {"nobody", "x"}});
  EXPECT_EQ((*sync_a)->assignment.view(), "left");
  EXPECT_EQ((*sync_b)->assignment.view(), "right");
  EXPECT_EQ(h.state(), "Stable");
  EXPECT_EQ(h.log.size(), 1u);
  EXPECT_EQ((*h.sync(b, 1))->assignment.view(), "right");  // again, from the stable group
}

TEST(GroupMembership, ChoosesTheProtocolMostMembersPrefer) {
  Harness h;
  auto [a, join_a] = h.join_new({.protocols = {"range", "sticky", "only-a"}});
  auto [b, join_b] = h.join_new({.protocols = {"sticky", "range"}});
  auto [c, join_c] = h.join_new({.protocols = {"sticky", "range"}});
  h.advance(6s);
  EXPECT_EQ((*join_a)->protocol_name, "sticky");
}

TEST(GroupMembership, AJoinDuringStableRebalancesAndMembersLearnItFromHeartbeats) {
  Harness h;
  const std::string a = h.make_stable();
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kNone);
  auto [b, join_b] = h.join_new();
  EXPECT_EQ(h.state(), "PreparingRebalance");
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(error_of(**h.sync(a, 1)), ErrorCode::kRebalanceInProgress);
  const auto join_a = h.join({.member = a});
  ASSERT_TRUE(join_a->has_value());  // the last one in completes it, without a delay
  EXPECT_EQ((*join_a)->generation_id, 2);
  EXPECT_EQ((*join_a)->leader, a);
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kIllegalGeneration);
}

TEST(GroupMembership, MembersThatDoNotRejoinAreLeftBehind) {
  Harness h;
  const std::string a = h.make_stable({.rebalance_ms = 5'000});
  auto [b, join_b] = h.join_new({.rebalance_ms = 5'000});
  for (int i = 0; i < 4; ++i) {
    h.advance(1s);
    h.heartbeat(a, 1);
  }
  EXPECT_FALSE(join_b->has_value());
  h.advance(1s);
  ASSERT_TRUE(join_b->has_value());
  EXPECT_EQ((*join_b)->leader, b);
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kUnknownMemberId);
}

TEST(GroupMembership, ASilentMemberIsRemovedAfterItsSessionTimeout) {
  Harness h;
  const std::string a = h.make_stable();
  h.advance(9s);
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kNone);
  h.advance(9s);
  EXPECT_EQ(h.state(), "Stable");
  h.advance(1s);
  EXPECT_EQ(h.state(), "Empty");
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.log.size(), 2u);  // the empty generation is written
}

TEST(GroupMembership, MembersThatDoNotSyncAreRemoved) {
  Harness h;
  auto [a, join_a] = h.join_new({.session_ms = 30'000, .rebalance_ms = 5'000});
  auto [b, join_b] = h.join_new({.session_ms = 30'000, .rebalance_ms = 5'000});
  h.advance(6s);
  const auto sync_b = h.sync(b, 1);
  h.advance(5s);  // the leader never sends its assignment
  ASSERT_TRUE(sync_b->has_value());
  EXPECT_EQ(error_of(**sync_b), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.heartbeat(b, 1), ErrorCode::kRebalanceInProgress);
}

TEST(GroupMembership, TheLeaderRejoiningRebalancesButAnUnchangedFollowerDoesNot) {
  Harness h;
  auto [a, join_a] = h.join_new();
  auto [b, join_b] = h.join_new();
  h.advance(6s);
  h.sync(b, 1);
  h.sync(a, 1, {{a, "x"}, {b, "y"}});
  const auto again = h.join({.member = b});
  ASSERT_TRUE(again->has_value());
  EXPECT_EQ((*again)->generation_id, 1);
  EXPECT_EQ(h.state(), "Stable");
  h.join({.member = a});
  EXPECT_EQ(h.state(), "PreparingRebalance");
}

TEST(GroupMembership, AFullGroupTakesNobodyElse) {
  GroupOptions options;
  options.max_group_size = 1;
  Harness h(options);
  h.make_stable();
  const auto refused = h.join({});
  EXPECT_EQ(error_of(**refused), ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ((*refused)->member_id, "");
}

TEST(GroupMembership, LeavingRebalancesTheRest) {
  Harness h;
  auto [a, join_a] = h.join_new();
  auto [b, join_b] = h.join_new();
  h.advance(6s);
  h.sync(b, 1);
  h.sync(a, 1, {{a, "x"}, {b, "y"}});
  const auto left = h.leave({{.member_id = a}, {.member_id = "stranger"}});
  EXPECT_EQ(left.error_code, 0);
  EXPECT_EQ(left.members[0].error_code, 0);
  EXPECT_EQ(left.members[1].error_code, static_cast<std::int16_t>(ErrorCode::kUnknownMemberId));
  EXPECT_EQ(h.heartbeat(b, 1), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ((*h.join({.member = b}))->leader, b);
}

TEST(GroupMembership, AnAssignmentThatWasNotWrittenIsNotHandedOut) {
  Harness h;
  auto [a, join_a] = h.join_new();
  h.advance(3s);
  h.write_error = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(error_of(**h.sync(a, 1, {{a, "x"}})), ErrorCode::kCoordinatorNotAvailable);
  h.write_error = ErrorCode::kNone;
  const auto again = h.join({.member = a});
  EXPECT_EQ((*again)->generation_id, 1);  // the generation is still open
  EXPECT_EQ((*h.sync(a, 1, {{a, "x"}}))->assignment.view(), "x");
}

TEST(GroupMembership, ResigningAnswersWhoWaits) {
  Harness h;
  auto [a, join_a] = h.join_new();
  h.shard->resign(ErrorCode::kNotCoordinator);
  EXPECT_EQ(error_of(**join_a), ErrorCode::kNotCoordinator);
}

TEST(GroupMembership, SurvivesACoordinatorChange) {
  Harness h;
  const std::string a = h.make_stable();
  h.restart();
  EXPECT_EQ(h.state(), "Stable");
  EXPECT_EQ(h.heartbeat(a, 1), ErrorCode::kNone);
  EXPECT_EQ((*h.sync(a, 1))->assignment.view(), "all");
  const auto described = h.describe();
  EXPECT_EQ(described.protocol_data, "range");
  ASSERT_EQ(described.members.size(), 1u);
  EXPECT_EQ(described.members[0].client_id, "client");
  EXPECT_EQ(described.members[0].member_metadata.view(), "subscription");
  h.advance(11s);  // sessions run on
  EXPECT_EQ(h.state(), "Empty");
}

// --- Static members (KIP-345)

TEST(StaticMembers, ARestartedInstanceTakesItsPlaceWithoutARebalance) {
  Harness h;
  auto joined = h.join({.instance = "pod-0"});
  h.advance(3s);
  const std::string old = (*joined)->member_id;
  EXPECT_EQ(old.substr(0, 6), "pod-0-");
  h.sync(old, 1, {{old, "mine"}}, "pod-0");

  const auto back = h.join({.instance = "pod-0"});
  ASSERT_TRUE(back->has_value());
  EXPECT_EQ((*back)->generation_id, 1);
  EXPECT_NE((*back)->member_id, old);
  EXPECT_EQ((*back)->leader, (*back)->member_id);
  EXPECT_TRUE((*back)->skip_assignment);
  EXPECT_EQ((*back)->members.size(), 1u);
  EXPECT_EQ(h.state(), "Stable");
  EXPECT_EQ(h.heartbeat(old, 1, "pod-0"), ErrorCode::kFencedInstanceId);
  EXPECT_EQ((*h.sync((*back)->member_id, 1, {}, "pod-0"))->assignment.view(), "mine");

  h.restart();  // the new id is in the log
  EXPECT_EQ(h.heartbeat((*back)->member_id, 1, "pod-0"), ErrorCode::kNone);
}

TEST(StaticMembers, AnOlderClientIsToldThatItsFormerSelfLeads) {
  Harness h;
  auto joined = h.join({.instance = "pod-0", .version = 8});
  h.advance(3s);
  const std::string old = (*joined)->member_id;
  h.sync(old, 1, {{old, "mine"}}, "pod-0");
  const auto back = h.join({.instance = "pod-0", .version = 8});
  EXPECT_EQ((*back)->leader, old);  // so it does not assign
  EXPECT_FALSE((*back)->skip_assignment);
  EXPECT_TRUE((*back)->members.empty());
}

TEST(StaticMembers, AreNotLeftBehindByARebalance) {
  Harness h;
  auto joined = h.join({.instance = "pod-0", .session_ms = 60'000, .rebalance_ms = 5'000});
  h.advance(3s);
  const std::string a = (*joined)->member_id;
  h.sync(a, 1, {{a, "x"}}, "pod-0");
  auto [b, join_b] = h.join_new({.session_ms = 60'000, .rebalance_ms = 5'000});
  h.advance(5s);
  ASSERT_TRUE(join_b->has_value());
  EXPECT_EQ((*join_b)->leader, b);  // the absent one cannot lead
  EXPECT_EQ((*join_b)->members.size(), 2u);
}

TEST(StaticMembers, LeaveByInstanceId) {
  Harness h;
  auto joined = h.join({.instance = "pod-0"});
  h.advance(3s);
  h.sync((*joined)->member_id, 1, {}, "pod-0");
  const auto left = h.leave({{.member_id = "", .group_instance_id = "pod-0"},
                             {.member_id = "", .group_instance_id = "pod-9"}});
  EXPECT_EQ(left.members[0].error_code, 0);
  EXPECT_EQ(left.members[1].error_code, static_cast<std::int16_t>(ErrorCode::kUnknownMemberId));
  EXPECT_EQ(h.state(), "Empty");
}

}  // namespace
}  // namespace broker::coordinator::group
