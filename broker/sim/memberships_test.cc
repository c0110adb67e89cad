#include "broker/sim/memberships.h"

#include <gtest/gtest.h>

namespace broker::sim {
namespace {

using std::chrono::seconds;
using Answer = Memberships::Answer;

class MembershipsTest : public ::testing::Test {
 protected:
  Instant at(int second) const { return Instant{} + seconds(second); }
  void commit(const std::string& member, std::int64_t value, Answer answer, int second = 0) {
    memberships_.commit_ended(memberships_.commit_started("g", 0, value, member), answer,
                              at(second));
  }
  bool is_good() const { return !history_.first_violation(); }

  History history_;
  Memberships memberships_{history_};
};

TEST_F(MembershipsTest, AMemberGetsWhatAnotherHasLetGoOf) {
  memberships_.heard("a", "n1", at(1));
  memberships_.owns("g", 0, "a", "n1", at(1));
  memberships_.releases("g", 0, "a");
  memberships_.owns("g", 0, "b", "n1", at(2));
  EXPECT_TRUE(is_good());
  EXPECT_EQ(memberships_.handovers(), 2U);
}

TEST_F(MembershipsTest, AMemberGetsWhatASilentOneHad) {
  memberships_.heard("a", "n1", at(1));
  memberships_.owns("g", 0, "a", "n1", at(1));
  memberships_.owns("g", 0, "b", "n1", at(9));
  EXPECT_TRUE(is_good());
}

TEST_F(MembershipsTest, TwoOwnersAreNoticed) {
  memberships_.heard("a", "n1", at(1));
  memberships_.owns("g", 0, "a", "n1", at(1));
  memberships_.owns("g", 0, "b", "n1", at(8));
  EXPECT_EQ(history_.first_violation(), "g: partition 0 was given to b while a had it");
}

TEST_F(MembershipsTest, ACoordinatorThatWasDeposedMayHearOfItStill) {
  memberships_.owns("g", 0, "a", "n1", at(1));
  memberships_.heard("a", "n1", at(2));
  memberships_.owns("g", 0, "b", "n2", at(3));
  EXPECT_TRUE(is_good());
}

TEST_F(MembershipsTest, ARequestWithoutAnAnswerMayLetGo) {
  memberships_.heard("a", "n1", at(1));
  memberships_.owns("g", 0, "a", "n1", at(1));
  memberships_.unanswered("a", at(2));
  memberships_.heard("a", "n1", at(3));
  memberships_.owns("g", 0, "b", "n1", at(4));
  EXPECT_TRUE(is_good());
}

TEST_F(MembershipsTest, ACommitOfWhoHasLostThePartitionIsNoticed) {
  memberships_.owns("g", 0, "b", "n1", at(1));
  commit("a", 5, Answer::kRefused);
  EXPECT_TRUE(is_good());
  commit("a", 5, Answer::kDone);
  EXPECT_EQ(history_.first_violation(), "g: a committed 5 of partition 0, which b had");
}

TEST_F(MembershipsTest, AnOffsetThatGoesBackIsNoticed) {
  memberships_.owns("g", 0, "a", "n1", at(1));
  commit("a", 5, Answer::kDone);
  EXPECT_EQ(memberships_.committed("g", 0), 5);
  commit("a", 4, Answer::kRefused);
  EXPECT_TRUE(is_good());
  commit("a", 4, Answer::kDone);
  EXPECT_EQ(history_.first_violation(),
            "g: a committed 4 of partition 0, where 5 was committed before");
}

TEST_F(MembershipsTest, ACommitWithoutAnAnswerMayComeLateButNotForEver) {
  memberships_.owns("g", 0, "a", "n1", at(1));
  commit("a", 4, Answer::kNone, 1);
  commit("a", 5, Answer::kDone, 2);
  commit("a", 4, Answer::kDone, 3);
  EXPECT_TRUE(is_good());
  EXPECT_EQ(memberships_.committed("g", 0), 4);
  commit("a", 4, Answer::kDone, 100);
  EXPECT_FALSE(is_good());
}

}  // namespace
}  // namespace broker::sim
