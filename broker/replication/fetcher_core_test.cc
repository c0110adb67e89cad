#include "broker/replication/fetcher_core.h"

#include <gtest/gtest.h>

namespace broker::replication {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin = Instant{} + 1h;
constexpr BrokerEpoch kEpoch{5};
constexpr TopicId kTopic{1, 1};

PartitionKey key(int partition) { return {kTopic, partition}; }
FollowerPosition at(std::int64_t offset, int epoch = 1) {
  return {LeaderEpoch{epoch}, Offset{offset}, LeaderEpoch{epoch}, Offset{0}, Offset{0}};
}

/// A leader that grants session 9 and says what it is told.
class Core : public ::testing::Test {
 protected:
  static FetcherCore::Options options() {
    FetcherCore::Options options;
    options.self = BrokerId{2};
    return options;
  }
  FetcherCore::Outgoing next(Instant now = kBegin) {
    auto outgoing = core.next(kEpoch, now);
    EXPECT_TRUE(outgoing.has_value());
    return outgoing.value_or(FetcherCore::Outgoing{});
  }
  FetcherCore::Answers answer(const FetcherCore::Outgoing& to, std::vector<int> partitions,
                              ErrorCode error = ErrorCode::kNone) {
    response = {};
    response.error_code = static_cast<std::int16_t>(error);
    response.session_id = 9;
    auto& topic = response.responses.emplace_back();
    topic.topic_id = kTopic;
    for (const int partition : partitions)
      topic.partitions.emplace_back().partition_index = partition;
    return core.on_response(to.number, response);
  }
  static std::vector<int> named(const FetcherCore::Request& request) {
    std::vector<int> partitions;
    for (const auto& topic : request.topics)
      for (const auto& partition : topic.partitions) partitions.push_back(partition.partition);
    return partitions;
  }

  FetcherCore core{options()};
  protocol::FetchResponse response;
};

TEST_F(Core, NamesEverythingOnceAndThenOnlyWhatMoved) {
  for (int i = 0; i < 3; ++i) core.follow(key(i), at(0));
  const auto full = next();
  EXPECT_EQ(full.request.session_id, 0);
  EXPECT_EQ(full.request.session_epoch, 0);
  EXPECT_EQ(named(full.request), (std::vector{0, 1, 2}));
  EXPECT_EQ(answer(full, {1}).partitions.size(), 1u);
  core.moved_to(key(1), at(7));
  const auto second = next();
  EXPECT_EQ(second.request.session_id, 9);
  EXPECT_EQ(second.request.session_epoch, 1);
  EXPECT_EQ(named(second.request), (std::vector{1}));
  answer(second, {});
  EXPECT_EQ(named(next().request), std::vector<int>{});
}

TEST_F(Core, OneRequestIsUnderWayButForANewPartition) {
  core.follow(key(0), at(0));
  answer(next(), {});
  const auto waiting = next();
  EXPECT_FALSE(core.next(kEpoch, kBegin));
  core.follow(key(1), at(0));
  const auto urgent = next();
  EXPECT_EQ(named(urgent.request), std::vector{1});
  EXPECT_EQ(urgent.request.session_epoch, 2);
  core.follow(key(2), at(0));
  EXPECT_FALSE(core.next(kEpoch, kBegin));
}

TEST_F(Core, AnAnswerForAPlaceThatWasLeftIsDropped) {
  core.follow(key(0), at(0));
  answer(next(), {});
  const auto asked = next();
  core.follow(key(0), at(0, 2));  // a new leader epoch meanwhile
  const auto urgent = next();
  EXPECT_TRUE(answer(asked, {0}).partitions.empty());
  EXPECT_EQ(answer(urgent, {0}).partitions.size(), 1u);
}

TEST_F(Core, APartitionInDifficultiesLeavesTheSessionUntilItsBackOffEnds) {
  core.follow(key(0), at(0));
  core.follow(key(1), at(0));
  answer(next(), {0});
  core.delay(key(0), kBegin);
  const auto without = next();
  ASSERT_EQ(without.request.forgotten_topics_data.size(), 1u);
  EXPECT_EQ(without.request.forgotten_topics_data[0].partitions, std::vector{0});
  EXPECT_EQ(*core.wake_at(), kBegin + 10ms);
  answer(without, {});
  EXPECT_EQ(named(next(kBegin + 10ms).request), std::vector{0});
  core.delay(key(0), kBegin + 10ms);
  EXPECT_EQ(*core.wake_at(), kBegin + 30ms);  // twice as long
}

TEST_F(Core, ALostSessionIsBegunAnew) {
  core.follow(key(0), at(0));
  core.follow(key(1), at(0));
  answer(next(), {});
  answer(next(), {}, ErrorCode::kFetchSessionIdNotFound);
  const auto full = next();
  EXPECT_EQ(full.request.session_id, 0);
  EXPECT_EQ(full.request.session_epoch, 0);
  EXPECT_EQ(named(full.request), (std::vector{0, 1}));
  core.on_lost();
  EXPECT_TRUE(answer(full, {0}).partitions.empty());
  EXPECT_EQ(named(next().request), (std::vector{0, 1}));
}

TEST_F(Core, NothingIsAskedWhileAllWait) {
  core.follow(key(0), at(0));
  core.pause(key(0));
  EXPECT_FALSE(core.next(kEpoch, kBegin));
  core.moved_to(key(0), at(3));
  EXPECT_EQ(named(next().request), std::vector{0});
}

}  // namespace
}  // namespace broker::replication
