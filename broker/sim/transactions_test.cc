#include "broker/sim/transactions.h"

#include <gtest/gtest.h>

namespace broker::sim {
namespace {

const TopicPartition kA{"payments", 0}, kB{"payments", 1};

/// One transaction of producer 7: record 0 on one partition, 1 and 2 on another.
class TransactionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    transactions_.begun({7, 0});
    transactions_.wrote(kA, Offset{10}, {7, 0}, 1);
    transactions_.wrote(kB, Offset{20}, {7, 1}, 2);
  }
  void read_all() {
    transactions_.read(kA, {7, 0});
    transactions_.read(kB, {7, 1});
    transactions_.read(kB, {7, 2});
  }
  bool is_good() {
    transactions_.check();
    return !history_.first_violation();
  }

  History history_;
  Transactions transactions_{history_};
};

TEST_F(TransactionsTest, ACommittedOneIsReadWhole) {
  transactions_.commit_asked(7);
  transactions_.committed(7);
  read_all();
  EXPECT_TRUE(is_good());
  EXPECT_EQ(history_.acknowledged_end(kB), Offset{22});
}

TEST_F(TransactionsTest, ACommittedOneOfWhichARecordIsMissingIsNoticed) {
  transactions_.commit_asked(7);
  transactions_.committed(7);
  transactions_.read(kB, {7, 1});
  EXPECT_FALSE(is_good());
}

TEST_F(TransactionsTest, NothingIsReadOfWhatNobodyHasCommitted) {
  transactions_.read(kA, {7, 0});
  EXPECT_EQ(history_.first_violation(),
            "payments-0: record 7.0 was read as committed, of a transaction that nobody has "
            "committed");
}

TEST_F(TransactionsTest, NothingIsReadOfAnAbortedOneWheneverItEnds) {
  transactions_.commit_asked(7);  // the answer says that it had timed out
  transactions_.read(kA, {7, 0});
  EXPECT_FALSE(history_.first_violation());
  transactions_.aborted(7);
  EXPECT_FALSE(is_good());
}

TEST_F(TransactionsTest, OfOneWhoseEndNobodyWasToldAllOrNothingIsRead) {
  transactions_.commit_asked(7);
  transactions_.left(7);
  EXPECT_TRUE(is_good());
  read_all();
  EXPECT_TRUE(is_good());
}

TEST_F(TransactionsTest, ATornOneIsNoticed) {
  transactions_.commit_asked(7);
  transactions_.left(7);
  transactions_.read(kB, {7, 1});
  transactions_.read(kB, {7, 2});
  transactions_.check();
  EXPECT_EQ(history_.first_violation(),
            "transaction of 7.0: 2 of 3 records were read, and it was asked to commit");
}

TEST_F(TransactionsTest, ARecordBelongsToTheTransactionThatBeganLast) {
  transactions_.aborted(7);
  transactions_.begun({7, 3});
  transactions_.wrote(kA, Offset{12}, {7, 3}, 1);
  transactions_.commit_asked(7);
  transactions_.committed(7);
  transactions_.read(kA, {7, 3});
  EXPECT_TRUE(is_good());
}

}  // namespace
}  // namespace broker::sim
