#include <gtest/gtest.h>

#include "broker/coordinator/group/harness_for_tests.h"
#include "broker/coordinator/group/records.h"
#include "broker/protocol/messages/offset_delete_request.h"

namespace broker::coordinator::group {
namespace {

std::string hex(const Slice& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : bytes.span()) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

TEST(GroupOffsets, ASimpleConsumerCommitsWithoutJoining) {
  Harness h;
  EXPECT_EQ(h.committed(), -1);
  EXPECT_EQ(h.commit({.offset = 42}), ErrorCode::kNone);
  EXPECT_EQ(h.committed(), 42);
  h.restart();
  EXPECT_EQ(h.committed(), 42);
  EXPECT_EQ(h.state(), "Empty");
}

TEST(GroupOffsets, RecordsHaveKafkasBytes) {
  const Record record = offset_record(
      "g", "t", 5, {.offset = 7, .leader_epoch = 2, .metadata = "m", .commit_timestamp = 9});
  EXPECT_EQ(hex(record.key),
            "0001"
            "000167"
            "000174"
            "00000005");
  // Version 4: offset, epoch, compact metadata, time, no tagged fields (the topic id is unknown).
  EXPECT_EQ(hex(*record.value),
            "0004"
            "0000000000000007"
            "00000002"
            "026d"
            "0000000000000009"
            "00");
  const Record retained =
      offset_record("g", "t", 5, {.offset = 7, .commit_timestamp = 9, .expire_timestamp = 10});
  EXPECT_EQ(hex(*retained.value),
            "0001"
            "0000000000000007"
            "0000"
            "0000000000000009"
            "000000000000000a");
  EXPECT_EQ(hex(group_tombstone("g").key),
            "0002"
            "000167");
  EXPECT_FALSE(group_tombstone("g").value);
}

TEST(GroupOffsets, MembersCommitOnlyInTheirGeneration) {
  Harness h;
  const std::string a = h.make_stable();
  EXPECT_EQ(h.commit({.member = a, .generation = 1}), ErrorCode::kNone);
  EXPECT_EQ(h.commit({.member = a, .generation = 0}), ErrorCode::kIllegalGeneration);
  EXPECT_EQ(h.commit({.member = "stranger", .generation = 1}), ErrorCode::kUnknownMemberId);
  EXPECT_EQ(h.commit({}), ErrorCode::kUnknownMemberId);  // the group is not empty
  auto [b, joined] = h.join_new();
  EXPECT_EQ(h.commit({.member = a, .generation = 1}), ErrorCode::kNone);  // preparing
  h.join({.member = a});
  EXPECT_EQ(h.commit({.member = a, .generation = 2}), ErrorCode::kRebalanceInProgress);
}

TEST(GroupOffsets, AnUnknownGroupWithAGenerationIsRefused) {
  Harness h;
  EXPECT_EQ(h.commit({.member = "m", .generation = 3, .version = 8}),
            ErrorCode::kIllegalGeneration);
  EXPECT_EQ(h.commit({.member = "m", .generation = 3, .version = 9}), ErrorCode::kGroupIdNotFound);
}

TEST(GroupOffsets, LongMetadataIsRefusedAlone) {
  Harness h;
  EXPECT_EQ(h.commit({.metadata = std::string(4'097, 'x')}), ErrorCode::kOffsetMetadataTooLarge);
  EXPECT_EQ(h.commit({.metadata = std::string(4'096, 'x')}), ErrorCode::kNone);
}

TEST(GroupOffsets, WhatWasNotWrittenIsNotSeen) {
  Harness h;
  h.commit({.offset = 1});
  h.write_error = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(h.commit({.offset = 2}), ErrorCode::kCoordinatorNotAvailable);
  h.write_error = ErrorCode::kMessageTooLarge;
  EXPECT_EQ(h.commit({.offset = 2}), ErrorCode::kInvalidCommitOffsetSize);
  EXPECT_EQ(h.committed(), 1);
}

TEST(GroupOffsets, AnOffsetOfAnEarlierTopicOfThatNameDoesNotCount) {
  Harness h;
  h.commit({.offset = 5, .topic_id = {1, 1}});
  EXPECT_EQ(h.committed("orders", {1, 1}), 5);
  EXPECT_EQ(h.committed("orders", {2, 2}), -1);
  EXPECT_EQ(h.committed("orders"), 5);
}

TEST(GroupOffsets, OffsetsOfSimpleGroupsExpireAfterTheirCommit) {
  Harness h;
  h.commit({.offset = 1});
  h.advance(std::chrono::hours(24 * 6));
  EXPECT_EQ(h.committed(), 1);
  h.advance(std::chrono::hours(25));
  EXPECT_EQ(h.committed(), -1);
  EXPECT_EQ(h.state(), "none");
  h.restart();
  EXPECT_EQ(h.shard->group_count(), 0u);
}

TEST(GroupOffsets, ARetentionOfTheCommitsOwnCountsInstead) {
  Harness h;
  h.commit({.offset = 1, .retention_ms = 3'600'000});
  h.advance(50min);
  EXPECT_EQ(h.committed(), 1);
  h.advance(30min);
  EXPECT_EQ(h.committed(), -1);
}

TEST(GroupOffsets, ALiveGroupKeepsWhatItReadsAndLosesWhatItDoesNot) {
  Harness h;
  const std::string a =
      h.make_stable({.metadata = Harness::subscription({"orders"}), .session_ms = 1'800'000});
  h.commit({.member = a, .generation = 1, .topic = "orders"});
  h.commit({.member = a, .generation = 1, .topic = "old"});
  for (int i = 0; i < 24 * 8 * 3; ++i) {
    h.advance(20min);
    ASSERT_EQ(h.heartbeat(a, 1), ErrorCode::kNone);
  }
  EXPECT_EQ(h.committed("orders"), 42);
  EXPECT_EQ(h.committed("old"), -1);
}

TEST(GroupOffsets, AGroupThatBecameEmptyKeepsItsOffsetsForTheRetention) {
  Harness h;
  const std::string a = h.make_stable();
  h.commit({.member = a, .generation = 1});
  h.advance(11s);
  ASSERT_EQ(h.state(), "Empty");
  h.advance(std::chrono::hours(24 * 6));
  EXPECT_EQ(h.committed(), 42);
  h.advance(std::chrono::hours(25));
  EXPECT_EQ(h.state(), "none");
}

TEST(GroupOffsets, DeletedTopicsTakeTheirOffsetsAlong) {
  Harness h;
  h.commit({.topic = "orders"});
  h.commit({.topic = "other"});
  h.carry_out(h.shard->forget_topics({"orders"}));
  EXPECT_EQ(h.committed("orders"), -1);
  EXPECT_EQ(h.committed("other"), 42);
}

TEST(GroupOffsets, OffsetsInUseCannotBeDeleted) {
  Harness h;
  const std::string a = h.make_stable({.metadata = Harness::subscription({"orders"})});
  h.commit({.member = a, .generation = 1, .topic = "orders"});
  h.commit({.member = a, .generation = 1, .topic = "old"});
  protocol::OffsetDeleteRequest request;
  request.group_id = "g";
  for (const char* name : {"orders", "old"}) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.partitions.push_back({.partition_index = 0});
  }
  protocol::OffsetDeleteResponse response;
  h.carry_out(h.shard->delete_offsets(
      request, [&](protocol::OffsetDeleteResponse r) { response = std::move(r); }));
  EXPECT_EQ(response.topics[0].partitions[0].error_code,
            static_cast<std::int16_t>(ErrorCode::kGroupSubscribedToTopic));
  EXPECT_EQ(response.topics[1].partitions[0].error_code, 0);
  EXPECT_EQ(h.committed("orders"), 42);
  EXPECT_EQ(h.committed("old"), -1);
}

TEST(GroupAdmin, DeletesOnlyEmptyGroups) {
  Harness h;
  EXPECT_EQ(h.delete_group(), ErrorCode::kGroupIdNotFound);
  const std::string a = h.make_stable();
  h.commit({.member = a, .generation = 1});
  EXPECT_EQ(h.delete_group(), ErrorCode::kNonEmptyGroup);
  h.leave({{.member_id = a}});
  EXPECT_EQ(h.delete_group(), ErrorCode::kNone);
  EXPECT_EQ(h.state(), "none");
  h.restart();
  EXPECT_EQ(h.shard->group_count(), 0u);
}

TEST(GroupAdmin, DescribesAnAbsentGroupAsTheVersionAsks) {
  Harness h;
  const auto described = h.describe(6);
  EXPECT_EQ(described.error_code, static_cast<std::int16_t>(ErrorCode::kGroupIdNotFound));
  EXPECT_EQ(described.error_message, "Group g not found.");
  EXPECT_EQ(described.group_state, "Dead");
  EXPECT_EQ(h.describe(5).error_code, 0);
  EXPECT_EQ(h.describe(5).group_state, "Dead");
}

TEST(GroupAdmin, ListsByStateAndType) {
  Harness h;
  h.make_stable();
  const auto list = [&](std::set<std::string> states, std::set<std::string> types) {
    std::size_t count = 0;
    h.carry_out(h.shard->list(states, types,
                              [&](GroupShard::ListedGroups groups) { count = groups.size(); }));
    return count;
  };
  EXPECT_EQ(list({}, {}), 1u);
  EXPECT_EQ(list({"stable"}, {"classic"}), 1u);
  EXPECT_EQ(list({"empty"}, {}), 0u);
  EXPECT_EQ(list({}, {"consumer"}), 0u);
}

TEST(GroupReplay, SkipsRecordsOfUnknownTypes) {
  Harness h;
  protocol::Writer key;
  key.int16(11);  // a share group
  key.int16(0);
  EXPECT_TRUE(h.shard->replay({*key.to_bytes(), Slice::copy_of("x")}).ok());
  EXPECT_FALSE(h.shard->replay({Slice::copy_of("x"), std::nullopt}).ok());
}

}  // namespace
}  // namespace broker::coordinator::group
