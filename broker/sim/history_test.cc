#include "broker/sim/history.h"

#include <gtest/gtest.h>

namespace broker::sim {
namespace {

const TopicPartition kOrders{"orders", 0};

// The checker itself: each kind of lie is found, and the truth is not called one.
class HistoryTest : public ::testing::Test {
 protected:
  void acknowledge_and_read_three() {
    history.acknowledged(kOrders, Offset{0}, {1, 0}, 3);
    for (std::int64_t i = 0; i < 3; ++i) history.read(kOrders, Offset{i}, Offset{i}, {1, i});
  }
  bool violated() const { return history.first_violation().has_value(); }

  History history;
};

TEST_F(HistoryTest, ATrueStoryIsBelieved) {
  acknowledge_and_read_three();
  history.read(kOrders, Offset{0}, Offset{0}, {1, 0});  // by another consumer
  history.read(kOrders, Offset{3}, Offset{3}, {2, 0});  // its acknowledgement was lost
  history.check_all_was_read();
  EXPECT_FALSE(violated()) << *history.first_violation();
}

TEST_F(HistoryTest, ARecordThatWasAcknowledgedAndNeverReadIsLost) {
  acknowledge_and_read_three();
  history.acknowledged(kOrders, Offset{3}, {1, 3}, 1);
  history.check_all_was_read();
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, AnotherRecordInItsPlaceIsALoss) {
  history.acknowledged(kOrders, Offset{0}, {1, 0}, 1);
  history.read(kOrders, Offset{0}, Offset{0}, {2, 7});
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, ARecordAtTwoOffsetsIsADuplicate) {
  acknowledge_and_read_three();
  history.read(kOrders, Offset{3}, Offset{3}, {1, 2});
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, ARecordReadAgainMustBeTheSame) {
  acknowledge_and_read_three();
  history.read(kOrders, Offset{1}, Offset{1}, {1, 9});
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, AHoleIsNoticed) {
  history.read(kOrders, Offset{0}, Offset{0}, {1, 0});
  history.read(kOrders, Offset{2}, Offset{1}, {1, 2});
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, AProducersRecordsAreInItsOrder) {
  history.read(kOrders, Offset{0}, Offset{0}, {1, 5});
  history.read(kOrders, Offset{1}, Offset{1}, {1, 4});
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, AGroupsOffsetIsTheLastAcknowledgedOne) {
  history.commit_started("g", 1);
  history.commit_ended("g", 1, true, false, "n1");
  history.commit_started("g", 2);
  history.commit_ended("g", 2, true, false, "n1");
  EXPECT_TRUE(history.offset_fetched("g", 2, "n1"));
  EXPECT_FALSE(violated());
  history.offset_fetched("g", 1, "n1");
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, ADeposedCoordinatorMayNotKnowLaterCommits) {
  history.commit_started("g", 1);
  history.commit_ended("g", 1, true, false, "n1");
  history.commit_started("g", 2);
  history.commit_ended("g", 2, true, false, "n2");
  EXPECT_FALSE(history.offset_fetched("g", 1, "n1"));
  EXPECT_FALSE(violated());
  EXPECT_TRUE(history.offset_fetched("g", 2, "n2"));
  history.offset_fetched("g", 1, "n2");
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, ADeposedCoordinatorKnowsWhatItAcknowledgedItself) {
  for (const std::int64_t value : {1, 2}) {
    history.commit_started("g", value);
    history.commit_ended("g", value, true, false, "n1");
  }
  history.commit_started("g", 3);
  history.commit_ended("g", 3, true, false, "n2");
  history.offset_fetched("g", 1, "n1");
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, AnOffsetThatNobodyCommittedIsNoticed) {
  history.commit_started("g", 1);
  history.commit_ended("g", 1, true, false, "n1");
  history.offset_fetched("g", -1, "n2");
  EXPECT_TRUE(violated());
}

TEST_F(HistoryTest, ACommitWhoseAnswerWasLostMayHaveHappened) {
  history.commit_started("g", 1);
  history.commit_ended("g", 1, true, false, "n1");
  history.commit_started("g", 2);
  history.commit_ended("g", 2, false, true, "n1");
  EXPECT_TRUE(history.offset_fetched("g", 1, "n1"));
  EXPECT_TRUE(history.offset_fetched("g", 2, "n1"));
  EXPECT_FALSE(violated());
}

TEST(History, TheHighWatermarkOfALeaderNeverFalls) {
  History history;
  const TopicPartition tp{"t", 0};
  history.high_watermark(tp, LeaderEpoch{1}, Offset{5});
  history.high_watermark(tp, LeaderEpoch{2}, Offset{4});  // it does not know yet
  history.high_watermark(tp, LeaderEpoch{2}, Offset{5});
  EXPECT_FALSE(history.first_violation());
  history.high_watermark(tp, LeaderEpoch{2}, Offset{4});
  EXPECT_EQ(history.first_violation(),
            "the high watermark of t-0 at 5 fell to 4 within leader epoch 2");
}

}  // namespace
}  // namespace broker::sim
