#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kafka/changes.h"
#include "operator/kafka/log_replay.h"
#include "operator/kafka/testing/metadata_batches.h"

namespace op::kafka {
namespace {

using broker::ErrorCode;
using broker::LeaderEpoch;
using broker::Offset;
using broker::Slice;
using broker::Uuid;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(LogReplay, WhatIsNotCommittedYetIsHeldBack) {
  LogReplay replay;
  ASSERT_TRUE(replay.append(batch({topic("a", 1)}, 0, 1)).ok());
  ASSERT_TRUE(replay.append(batch({topic("b", 2)}, 1, 2)).ok());
  EXPECT_EQ(replay.next_offset(), Offset{2});
  EXPECT_EQ(replay.last_epoch(), LeaderEpoch{2});
  EXPECT_FALSE(replay.commit(Offset{-1})->has_value());

  auto update = replay.commit(Offset{1});
  ASSERT_TRUE(update->has_value());
  EXPECT_NE((*update)->image->topics.find("a"), nullptr);
  EXPECT_EQ((*update)->image->topics.find("b"), nullptr);
  EXPECT_TRUE(replay.has_uncommitted());
  EXPECT_EQ(replay.replayed_to(), Offset{1});
}

TEST(LogReplay, WhatANewLeaderDoesNotHaveIsForgotten) {
  LogReplay replay;
  ASSERT_TRUE(replay.append(batch({topic("a", 1)}, 0, 1)).ok());
  ASSERT_TRUE(replay.append(batch({topic("lost", 2)}, 1, 1)).ok());
  ASSERT_TRUE(replay.commit(Offset{1}).ok());
  ASSERT_TRUE(replay.truncate(LeaderEpoch{1}, Offset{1}).ok());
  EXPECT_EQ(replay.next_offset(), Offset{1});

  ASSERT_TRUE(replay.append(batch({topic("b", 3)}, 1, 2)).ok());
  const auto update = replay.commit(Offset{2});
  EXPECT_EQ((**update).image->topics.find("lost"), nullptr);
  EXPECT_NE((**update).image->topics.find("b"), nullptr);
}

TEST(LogReplay, ALogWithoutWhatWasCommittedIsAnotherLog) {
  LogReplay replay;
  ASSERT_TRUE(replay.append(batch({topic("a", 1), topic("b", 2)}, 0, 3)).ok());
  ASSERT_TRUE(replay.commit(Offset{2}).ok());
  EXPECT_EQ(replay.truncate(LeaderEpoch{3}, Offset{1}).code(), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(replay.truncate(LeaderEpoch{2}, Offset{5}).code(), ErrorCode::kOffsetOutOfRange);
}

TEST(LogReplay, AGapOrADamagedBatchIsRefused) {
  LogReplay replay;
  EXPECT_EQ(replay.append(batch({topic("a", 1)}, 5, 1)).code(), ErrorCode::kCorruptMessage);
  const Slice good = batch({topic("a", 1)}, 0, 1);
  std::vector<std::uint8_t> bytes(good.data(), good.data() + good.size());
  bytes.back() ^= 1;
  EXPECT_EQ(replay.append(Slice(bytes)).code(), ErrorCode::kCorruptMessage);
  EXPECT_TRUE(replay.append(good).ok());
}

TEST(LogReplay, TheQuorumsControlRecordsOnlyTakeOffsets) {
  LogReplay replay;
  ASSERT_TRUE(replay.append(control_batch(0, 1)).ok());
  ASSERT_TRUE(replay.commit(Offset{1})->has_value());
  EXPECT_EQ(replay.replayed_to(), Offset{1});
}

TEST(LogReplay, ASnapshotMayBeCutAnywhere) {
  const Slice bytes = snapshot({topic("a", 1), topic("b", 2)}, 7);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100}, bytes.size()}) {
    LogReplay replay;
    replay.begin_snapshot({Offset{40}, LeaderEpoch{7}});
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      EXPECT_EQ(replay.snapshot_position(), static_cast<std::int64_t>(at));
      const Slice slice = bytes.sub(at, std::min(piece, bytes.size() - at));
      ASSERT_TRUE(replay.append_snapshot(slice).ok());
    }
    const auto update = replay.end_snapshot();
    ASSERT_TRUE(update.ok());
    EXPECT_NE(update->image->topics.find("b"), nullptr);
    EXPECT_EQ(update->image->provenance.offset, Offset{39});
    EXPECT_EQ(replay.next_offset(), Offset{40});
    EXPECT_EQ(replay.last_epoch(), LeaderEpoch{7});
  }
}

TEST(LogReplay, ASnapshotWithoutItsEndIsRefused) {
  const Slice bytes = snapshot({topic("a", 1)}, 7);
  for (const std::size_t size : {bytes.size() - 1, batch({topic("a", 1)}, 0, 7).size()}) {
    LogReplay replay;
    replay.begin_snapshot({Offset{40}, LeaderEpoch{7}});
    ASSERT_TRUE(replay.append_snapshot(bytes.sub(0, size)).ok());
    EXPECT_EQ(replay.end_snapshot().code(), ErrorCode::kCorruptMessage);
  }
}

Changes changes_of(const broker::metadata::MetadataRecords& first,
                   const broker::metadata::MetadataRecords& then) {
  broker::metadata::MetadataDelta delta(broker::metadata::MetadataImage::empty());
  for (const auto& record : first) EXPECT_TRUE(delta.replay(record).ok());
  const auto before = delta.apply({});
  for (const auto& record : then) EXPECT_TRUE(delta.replay(record).ok());
  const auto after = delta.apply({});
  return name_changes(after.changes, *before.image, *after.image);
}

TEST(Changes, NameTopicsThatCameWentOrWereConfigured) {
  broker::protocol::RemoveTopicRecord remove;
  remove.topic_id = Uuid{1, 1};
  broker::protocol::ConfigRecord config;
  config.resource_type = 2;
  config.resource_name = "configured";
  config.name = "retention.ms";
  config.value = "1";
  const Changes changes = changes_of({topic("gone", 1), topic("configured", 2), topic("same", 3)},
                                     {remove, config, topic("new", 4)});
  EXPECT_THAT(changes.topics, ElementsAre("configured", "gone", "new"));
  EXPECT_FALSE(changes.everything);
  EXPECT_FALSE(changes.brokers);
  EXPECT_THAT(changes.users, IsEmpty());
}

TEST(Changes, NameThePrincipalOfARemovedAcl) {
  broker::protocol::AccessControlEntryRecord acl;
  acl.id = Uuid{5, 5};
  acl.resource_type = 2;
  acl.resource_name = "orders";
  acl.pattern_type = 3;
  acl.principal = "User:alice";
  acl.host = "*";
  acl.operation = 3;
  acl.permission_type = 3;
  broker::protocol::RemoveAccessControlEntryRecord remove;
  remove.id = acl.id;
  EXPECT_THAT(changes_of({}, {acl}).principals, ElementsAre("User:alice"));
  EXPECT_THAT(changes_of({acl}, {remove}).principals, ElementsAre("User:alice"));
}

}  // namespace
}  // namespace op::kafka
