#include "broker/replication/fetch_session.h"

#include <gtest/gtest.h>

namespace broker::replication {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant{} + 1h;

SessionPartition partition(const std::string& topic, std::int64_t offset = 0) {
  return {.key = {topic, {}, 0}, .max_bytes = 1024, .fetch_offset = Offset{offset}};
}

std::vector<std::string> topics(const FetchSessionCache::Fetch& fetch) {
  std::vector<std::string> names;
  for (const auto& each : fetch.partitions) names.push_back(each.key.topic);
  return names;
}

class FetchSessions : public ::testing::Test {
 protected:
  /// A full fetch that makes a session; 0 if there was no room.
  std::int32_t open(std::vector<SessionPartition> partitions, Instant now = kStart,
                    bool privileged = false) {
    SessionRequest request{.session_epoch = 0, .privileged = privileged};
    request.partitions = std::move(partitions);
    const auto fetch = cache.begin(request, now);
    return cache.finish(*fetch, std::vector<SessionOutcome>(fetch->partitions.size()), now)
        .session_id;
  }
  Result<FetchSessionCache::Fetch> next(std::int32_t id, std::int32_t epoch,
                                        std::vector<SessionPartition> changed = {},
                                        std::vector<SessionKey> forgotten = {}) {
    SessionRequest request{.session_id = id, .session_epoch = epoch};
    request.partitions = std::move(changed);
    request.forgotten = std::move(forgotten);
    return cache.begin(request, kStart);
  }

  FetchSessionCache cache{{.slots = 2, .eviction = 120s}, 1};
};

TEST_F(FetchSessions, AFetchWithoutASessionLeavesNothing) {
  SessionRequest request{.session_epoch = -1, .partitions = {partition("a")}};
  const auto fetch = cache.begin(request, kStart);
  ASSERT_TRUE(fetch.ok());
  EXPECT_TRUE(fetch->full);
  EXPECT_EQ(cache.finish(*fetch, {{}}, kStart).session_id, 0);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(FetchSessions, LaterFetchesNameOnlyWhatChanged) {
  const std::int32_t id = open({partition("a"), partition("b"), partition("c")});
  ASSERT_NE(id, 0);
  EXPECT_EQ(cache.partition_count(), 3u);
  const auto fetch = next(id, 1, {partition("b", 7), partition("d")}, {{"a", {}, 0}});
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(topics(*fetch), (std::vector<std::string>{"b", "c", "d"}));
  EXPECT_EQ(fetch->partitions[0].fetch_offset, Offset{7});
  EXPECT_EQ(cache.partition_count(), 3u);
}

TEST_F(FetchSessions, AnswersListOnlyPartitionsWithNews) {
  const std::int32_t id = open({partition("a"), partition("b"), partition("c"), partition("d")});
  const auto fetch = next(id, 1);
  const auto answer = cache.finish(
      *fetch, {{}, {.has_records = true}, {.high_watermark = 5}, {.has_error = true}}, kStart);
  EXPECT_EQ(answer.session_id, id);
  EXPECT_EQ(answer.include, (std::vector<bool>{false, true, true, true}));
  // The same again: only the error is still news, and that it is over.
  const auto again = next(id, 2);
  EXPECT_EQ(topics(*again), (std::vector<std::string>{"a", "c", "d", "b"}));  // b was served
  const auto second =
      cache.finish(*again, {{}, {.high_watermark = 5}, {.has_error = true}, {}}, kStart);
  EXPECT_EQ(second.include, (std::vector<bool>{false, false, true, false}));
}

TEST_F(FetchSessions, AFetchThatOutlivesItsSessionStillAnswersOnlyNews) {
  const std::int32_t id = open({partition("a"), partition("b")});
  const auto waiting = next(id, 1);
  ASSERT_TRUE(next(id, -1).ok());  // the consumer closes meanwhile
  EXPECT_EQ(cache.size(), 0u);
  const auto answer = cache.finish(*waiting, {{}, {.has_records = true}}, kStart);
  EXPECT_EQ(answer.session_id, id);
  EXPECT_EQ(answer.include, (std::vector<bool>{false, true}));
}

TEST_F(FetchSessions, RefusesWrongIdsEpochsAndNaming) {
  const std::int32_t id = open({partition("a")});
  EXPECT_EQ(next(id + 1, 1).code(), ErrorCode::kFetchSessionIdNotFound);
  EXPECT_EQ(next(id, 2).code(), ErrorCode::kInvalidFetchSessionEpoch);
  SessionRequest by_id{.session_id = id, .session_epoch = 1, .by_topic_id = true};
  EXPECT_EQ(cache.begin(by_id, kStart).code(), ErrorCode::kFetchSessionTopicIdError);
  EXPECT_TRUE(next(id, 1).ok());
  EXPECT_EQ(next(id, 1).code(), ErrorCode::kInvalidFetchSessionEpoch);
}

TEST_F(FetchSessions, AFullFetchEndsTheClientsEarlierSession) {
  const std::int32_t id = open({partition("a")});
  SessionRequest request{.session_id = id, .session_epoch = -1};
  EXPECT_TRUE(cache.begin(request, kStart).ok());
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.partition_count(), 0u);
}

TEST_F(FetchSessions, ASessionWithNothingLeftEnds) {
  const std::int32_t id = open({partition("a")});
  const auto fetch = next(id, 1, {}, {{"a", {}, 0}});
  ASSERT_TRUE(fetch.ok());
  EXPECT_EQ(fetch->session_id, 0);
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(FetchSessions, AFullCacheServesNewcomersWithoutASession) {
  open({partition("a")});
  open({partition("b")});
  EXPECT_EQ(open({partition("c"), partition("d")}), 0);
  EXPECT_EQ(cache.size(), 2u);
}

TEST_F(FetchSessions, IdleAndSmallerSessionsGiveWayInTimeAndReplicasAtOnce) {
  open({partition("a")});
  open({partition("b"), partition("c")});
  EXPECT_NE(open({partition("r")}, kStart, true), 0);  // a replica
  EXPECT_NE(open({partition("x")}, kStart + 121s), 0);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.evictions(), 2u);
}

}  // namespace
}  // namespace broker::replication
