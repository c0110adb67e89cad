#include "broker/coordinator/group/consumer_group.h"

#include <gtest/gtest.h>

#include "broker/coordinator/group/check_heartbeat.h"
#include "broker/coordinator/group/consumer_harness_for_tests.h"
#include "broker/coordinator/group/metadata_hash.h"
#include "broker/coordinator/group/topic_regex.h"

namespace broker::coordinator::group {
namespace {

using Beat = ConsumerHarness::BeatArgs;

TEST(ConsumerGroup, GivesAllToTheFirstMember) {
  ConsumerHarness h({{"orders", 3}});
  const auto response = h.join("a");
  EXPECT_EQ(response.error_code, 0);
  EXPECT_EQ(response.member_epoch, 2);
  EXPECT_EQ(response.heartbeat_interval_ms, 5000);
  EXPECT_EQ(ConsumerHarness::text(response), "0,1,2");
  EXPECT_EQ(h.consumer_state(), "Stable");
}

TEST(ConsumerGroup, MovesAPartitionOnlyAfterItsOwnerLetGo) {
  ConsumerHarness h({{"orders", 3}});
  h.join("a");
  h.advance(1s);
  EXPECT_EQ(ConsumerHarness::text(h.join("b")), "");  // nothing is free yet
  // The owner learns in its epoch what it may keep.
  auto a = h.beat({.member = "a", .epoch = 2});
  EXPECT_EQ(a.member_epoch, 2);
  const std::string kept = ConsumerHarness::text(a);
  EXPECT_EQ(kept.size(), 3U);  // two of three
  EXPECT_EQ(h.consumer_state(), "Reconciling");
  EXPECT_FALSE(h.beat({.member = "b", .epoch = 3}).assignment.has_value());
  a = h.beat({.member = "a", .epoch = 2, .owned = kept});
  EXPECT_EQ(a.member_epoch, 3);
  EXPECT_EQ(ConsumerHarness::text(h.beat({.member = "b", .epoch = 3})).size(), 1U);
  EXPECT_EQ(h.consumer_state(), "Stable");
}

TEST(ConsumerGroup, AcceptsThePreviousEpochFromAMemberWhoseAnswerWasLost) {
  ConsumerHarness h({{"orders", 3}});
  h.join("a");
  h.advance(1s);
  h.beat({.member = "a", .epoch = 2, .topics = {{"orders", "other"}}});
  EXPECT_EQ(h.epoch_of("a"), 3);
  EXPECT_EQ(h.error({.member = "a", .epoch = 2, .owned = "0,1,2"}), ErrorCode::kNone);
  EXPECT_EQ(h.error({.member = "a", .epoch = 2}), ErrorCode::kFencedMemberEpoch);
  EXPECT_EQ(h.error({.member = "a", .epoch = 1, .owned = "0"}), ErrorCode::kFencedMemberEpoch);
  EXPECT_EQ(h.error({.member = "a", .epoch = 9}), ErrorCode::kFencedMemberEpoch);
}

TEST(ConsumerGroup, KnowsOnlyItsMembers) {
  ConsumerHarness h({{"orders", 3}});
  EXPECT_EQ(h.error({.member = "a", .epoch = 1}), ErrorCode::kGroupIdNotFound);
  h.join("a");
  EXPECT_EQ(h.error({.member = "b", .epoch = 1}), ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, AMemberThatFallsSilentLosesItsPartitions) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.advance(1s);
  h.join("b");
  h.advance(30s);
  h.beat({.member = "b", .epoch = h.epoch_of("b")});
  h.advance(16s);  // 47 s after a's, 16 s after b's
  EXPECT_EQ(h.error({.member = "a", .epoch = 2}), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(ConsumerHarness::text(h.beat({.member = "b", .epoch = h.epoch_of("b")})), "0,1");
}

// Found by the simulation (seed 370): members stayed for ever, and nobody got their partitions.
TEST(ConsumerGroup, AMemberThatLeavesIsRemovedWhenItCanBeWritten) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.advance(1s);
  h.join("b");
  h.write_error = ErrorCode::kCoordinatorNotAvailable;  // too few replicas are in sync
  h.beat({.member = "b", .epoch = -1});
  h.advance(1s);
  h.write_error = ErrorCode::kNone;
  h.advance(1s);
  EXPECT_EQ(h.error({.member = "b", .epoch = 2}), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.error({.member = "a", .epoch = 2}), ErrorCode::kNone);
}

TEST(ConsumerGroup, ASilentMemberIsRemovedWhenItCanBeWritten) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.advance(1s);
  h.join("b");
  h.write_error = ErrorCode::kCoordinatorNotAvailable;
  h.advance(50s);
  h.write_error = ErrorCode::kNone;
  h.advance(1s);
  EXPECT_EQ(h.error({.member = "a", .epoch = 2}), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.error({.member = "b", .epoch = 2}), ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, AMemberThatKeepsWhatIsRevokedIsFenced) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.advance(1s);
  h.join("b");
  h.beat({.member = "a", .epoch = 2});
  for (int i = 0; i < 7; ++i) {  // its session lives, but 60 s is the rebalance timeout
    h.advance(10s);
    h.beat({.member = "a", .epoch = 2, .owned = "0,1"});
    h.beat({.member = "b", .epoch = 3});
  }
  EXPECT_EQ(h.error({.member = "a", .epoch = 2}), ErrorCode::kUnknownMemberId);
}

TEST(ConsumerGroup, AStaticMemberComesBackToItsPartitionsWithoutARebalance) {
  ConsumerHarness h({{"orders", 3}});
  h.beat({.member = "a", .instance = "i", .topics = {{"orders"}}, .joins = true});
  EXPECT_EQ(h.error({.member = "b", .instance = "i", .topics = {{"orders"}}, .joins = true}),
            ErrorCode::kUnreleasedInstanceId);
  EXPECT_EQ(h.beat({.member = "a", .epoch = -2, .instance = "i"}).member_epoch, -2);
  const auto back = h.beat({.member = "b", .instance = "i", .topics = {{"orders"}}, .joins = true});
  EXPECT_EQ(back.member_epoch, 2);
  EXPECT_EQ(ConsumerHarness::text(back), "0,1,2");
  EXPECT_EQ(h.error({.member = "a", .epoch = 2, .instance = "i"}), ErrorCode::kFencedInstanceId);
}

TEST(ConsumerGroup, NewPartitionsMakeANewEpoch) {
  ConsumerHarness h({{"orders", 1}});
  h.join("a");
  h.advance(1s);
  EXPECT_FALSE(h.beat({.member = "a", .epoch = 2}).assignment.has_value());
  h.set_topics({{"orders", 2}});
  const auto response = h.beat({.member = "a", .epoch = 2});
  EXPECT_EQ(response.member_epoch, 3);
  EXPECT_EQ(ConsumerHarness::text(response), "0,1");
}

TEST(ConsumerGroup, TargetsAreComputedOncePerInterval) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  EXPECT_EQ(h.join("b").member_epoch, 2);  // the old target: too early for another
  EXPECT_EQ(h.consumer_state(), "Assigning");
  h.advance(1s);
  EXPECT_EQ(h.beat({.member = "b", .epoch = 2}).member_epoch, 3);
}

TEST(ConsumerGroup, IsTheSameAfterItsCoordinatorCameBack) {
  ConsumerHarness h({{"orders", 4}});
  h.join("a");
  h.advance(1s);
  h.join("b");
  h.beat({.member = "a", .epoch = 2});
  h.restart();
  EXPECT_EQ(h.beat({.member = "a", .epoch = 2, .owned = "0,1,2,3"}).member_epoch, 2);
  const std::string kept = h.owned_by("a");
  EXPECT_EQ(h.beat({.member = "a", .epoch = 2, .owned = kept}).member_epoch, 3);
  EXPECT_FALSE(ConsumerHarness::text(h.beat({.member = "b", .epoch = 3})).empty());
  EXPECT_EQ(h.consumer_state(), "Stable");
}

TEST(ConsumerGroup, ARegularExpressionIsResolvedElsewhere) {
  ConsumerHarness h({{"orders", 1}, {"orders-eu", 1}, {"secret-orders", 1}});
  h.beat({.member = "a", .regex = "orders.*", .joins = true});
  EXPECT_EQ(h.owned_by("a"), "");
  ASSERT_EQ(h.regex_jobs.size(), 1U);
  h.answer_regexes();
  h.advance(1s);
  EXPECT_EQ(h.beat({.member = "a", .epoch = h.epoch_of("a")}).assignment->topic_partitions.size(),
            2U);
  // A new topic is found when the expressions are looked at again.
  h.set_topics({{"orders", 1}, {"orders-eu", 1}, {"orders-us", 1}});
  h.advance(10s);
  h.beat({.member = "a", .epoch = h.epoch_of("a")});
  h.answer_regexes();
  EXPECT_EQ(h.beat({.member = "a", .epoch = h.epoch_of("a")}).assignment->topic_partitions.size(),
            3U);
}

TEST(ConsumerGroup, ARegularExpressionThatIsNoneIsRefused) {
  ConsumerHarness h({});
  EXPECT_EQ(h.error({.member = "a", .regex = "[", .joins = true}),
            ErrorCode::kInvalidRegularExpression);
}

TEST(ConsumerGroup, TopicsThatTheMemberMayNotSeeDoNotMatch) {
  const ConsumerHarness h({{"orders", 1}, {"orders-eu", 1}});
  const auto found = resolve(
      {"g", {"orders.*"}, h.image, [](const std::string& topic) { return topic == "orders"; }, 5});
  EXPECT_EQ(found.at("orders.*").topics, std::set<std::string>{"orders"});
}

TEST(ConsumerGroup, CommitsNeedTheMembersEpoch) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  EXPECT_EQ(h.commit({.member = "a", .generation = 2}), ErrorCode::kNone);
  EXPECT_EQ(h.commit({.member = "a", .generation = 3}), ErrorCode::kStaleMemberEpoch);
  EXPECT_EQ(h.commit({.member = "x", .generation = 2}), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.commit({.member = "a", .generation = 2, .version = 8}),
            ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(h.committed(), 42);
}

TEST(ConsumerGroup, AnEarlierEpochMayCommitWhatItHasHadSince) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.advance(1s);
  h.beat({.member = "a", .epoch = 2, .topics = {{"orders", "other"}}});
  EXPECT_EQ(h.commit({.member = "a", .generation = 2, .topic_id = h.id("orders")}),
            ErrorCode::kNone);
  EXPECT_EQ(h.commit({.member = "a", .generation = 1, .topic_id = h.id("orders")}),
            ErrorCode::kStaleMemberEpoch);
}

TEST(ConsumerGroup, OffsetsOutliveTheLastMemberAndTheGroupCanBeDeleted) {
  ConsumerHarness h({{"orders", 2}});
  h.join("a");
  h.commit({.member = "a", .generation = 2});
  EXPECT_EQ(h.delete_group(), ErrorCode::kNonEmptyGroup);
  h.beat({.member = "a", .epoch = -1});
  EXPECT_EQ(h.consumer_state(), "Empty");
  h.restart();
  EXPECT_EQ(h.committed(), 42);
  EXPECT_EQ(h.delete_group(), ErrorCode::kNone);
  EXPECT_EQ(h.shard->group_count(), 0U);
}

TEST(ConsumerGroup, AnEmptyClassicGroupBecomesOneAndKeepsItsOffsets) {
  ConsumerHarness h({{"orders", 2}});
  h.commit({});
  h.join("a");
  EXPECT_EQ(h.consumer_state(), "Stable");
  EXPECT_EQ(h.committed(), 42);
}

TEST(ConsumerGroup, FullGroupsTakeNobodyElse) {
  GroupOptions options;
  options.consumer.max_size = 1;
  ConsumerHarness h({{"orders", 2}}, options);
  h.join("a");
  EXPECT_EQ(h.error({.member = "b", .topics = {{"orders"}}, .joins = true}),
            ErrorCode::kGroupMaxSizeReached);
}

TEST(MetadataHash, IsTheOneOfKafka) {
  // Computed by Utils.computeTopicHash and computeGroupHash of Apache Kafka 4.3.1.
  metadata::MetadataImage image;
  const Uuid id{0x0123456789abcdefULL, 0xfedcba9876543210ULL};
  metadata::TopicImage topic{.name = "orders", .id = id};
  metadata::BrokerRegistration broker{.id = BrokerId{1}, .rack = "rack-a"};
  image.cluster.brokers.set(BrokerId{1}, broker);
  topic.partitions.set(0, {.replicas = {BrokerId{1}}});
  topic.partitions.set(1, {.replicas = {BrokerId{2}}});
  image.topics.by_id.set(id, topic);
  image.topics.ids.set("orders", id);
  EXPECT_EQ(metadata_hash({"orders", "absent"}, image), 7003737613476853809);
  EXPECT_EQ(metadata_hash({"absent"}, image), 0);
}

TEST(CheckHeartbeat, RefusesWhatCannotBe) {
  protocol::ConsumerGroupHeartbeatRequest request;
  request.group_id = "g";
  request.member_id = "m";
  request.rebalance_timeout_ms = 1;
  request.subscribed_topic_names.emplace();
  request.topic_partitions.emplace();
  const std::vector<std::string> assignors{"uniform"};
  EXPECT_TRUE(check_heartbeat(request, 1, assignors).ok());
  auto other = request;
  other.member_id = " ";
  EXPECT_EQ(check_heartbeat(other, 1, assignors).code(), ErrorCode::kInvalidRequest);
  EXPECT_TRUE(check_heartbeat(other, 0, assignors).ok());  // it will get an id
  other = request;
  other.server_assignor = "sticky";
  EXPECT_EQ(check_heartbeat(other, 1, assignors).code(), ErrorCode::kUnsupportedAssignor);
  other = request;
  other.member_epoch = -3;
  EXPECT_EQ(check_heartbeat(other, 1, assignors).code(), ErrorCode::kInvalidRequest);
  other = request;
  other.topic_partitions.reset();
  EXPECT_EQ(check_heartbeat(other, 1, assignors).code(), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace broker::coordinator::group
