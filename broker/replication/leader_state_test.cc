#include "broker/replication/leader_state.h"

#include <gtest/gtest.h>

namespace broker::replication {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant{} + 1h;
constexpr BrokerId kSelf{1}, kSecond{2}, kThird{3};

LeaderState leader(std::vector<BrokerId> isr) {
  return LeaderState(kSelf, {LeaderEpoch{1}, PartitionEpoch{0}, {kSelf, kSecond, kThird}, isr},
                     Offset{10}, kStart);
}

Offset high_watermark(const LeaderState& state, std::int64_t end, int min_isr = 1,
                      Instant now = kStart) {
  return state.next_high_watermark(Offset{10}, Offset{end}, min_isr, 30s, now);
}

TEST(LeaderState, TheHighWatermarkWaitsForTheSlowestInSyncReplica) {
  LeaderState state = leader({kSelf, kSecond, kThird});
  EXPECT_EQ(high_watermark(state, 20), Offset{10});  // nobody has fetched yet
  state.note_fetch(kSecond, {}, Offset{20}, Offset{20}, kStart);
  EXPECT_EQ(high_watermark(state, 20), Offset{10});
  state.note_fetch(kThird, {}, Offset{15}, Offset{20}, kStart);
  EXPECT_EQ(high_watermark(state, 20), Offset{15});
}

TEST(LeaderState, ALoneIsrMemberDoesNotWaitForAbsentReplicas) {
  EXPECT_EQ(high_watermark(leader({kSelf}), 20), Offset{20});
}

TEST(LeaderState, WaitsForAReplicaThatIsAboutToJoinTheIsr) {
  LeaderState state = leader({kSelf});
  state.note_fetch(kSecond, {}, Offset{12}, Offset{12}, kStart);  // caught up just now
  EXPECT_EQ(high_watermark(state, 20), Offset{12});
  EXPECT_EQ(high_watermark(state, 20, 1, kStart + 31s), Offset{20});
}

TEST(LeaderState, StandsStillBelowTheMinimumIsr) {
  LeaderState state = leader({kSelf});
  EXPECT_EQ(high_watermark(state, 20, 2), Offset{10});
  state.update({LeaderEpoch{1}, PartitionEpoch{1}, {kSelf}, {kSelf}}, kStart);
  EXPECT_EQ(high_watermark(state, 20, 2), Offset{20});  // one replica can have no more than one
}

TEST(LeaderState, CaughtUpMeansTheLogEndOfTheFetchBefore) {
  LeaderState state = leader({kSelf});
  state.note_fetch(kSecond, {}, Offset{10}, Offset{20}, kStart);
  state.note_fetch(kSecond, {}, Offset{20}, Offset{30}, kStart + 5s);
  EXPECT_EQ(state.remotes().at(kSecond).last_caught_up, kStart);
  state.note_fetch(kSecond, {}, Offset{25}, Offset{40}, kStart + 9s);  // behind 30
  EXPECT_EQ(state.remotes().at(kSecond).last_caught_up, kStart);
}

}  // namespace
}  // namespace broker::replication
