#include "broker/replication/leader_state.h"

#include <gtest/gtest.h>

namespace broker::replication {
namespace {

using namespace std::chrono_literals;

constexpr Instant kElected = Instant{} + 1h;
constexpr BrokerId kSelf{1}, kSecond{2}, kThird{3};

std::optional<BrokerEpoch> registered(BrokerId) { return BrokerEpoch{5}; }

LeaderState leader(std::vector<BrokerId> isr) {
  return LeaderState(kSelf, {LeaderEpoch{1}, PartitionEpoch{0}, {kSelf, kSecond, kThird}, isr},
                     Offset{10}, kElected);
}

Offset high_watermark(const LeaderState& state, std::int64_t end, int min_isr = 1,
                      Instant now = kElected) {
  return state.next_high_watermark(Offset{10}, Offset{end}, min_isr, 30s, registered, now);
}

TEST(LeaderState, TheHighWatermarkWaitsForTheSlowestInSyncReplica) {
  LeaderState state = leader({kSelf, kSecond, kThird});
  EXPECT_EQ(high_watermark(state, 20), Offset{10});  // nobody has fetched yet
  state.note_fetch(kSecond, {}, Offset{20}, Offset{20}, kElected);
  EXPECT_EQ(high_watermark(state, 20), Offset{10});
  state.note_fetch(kThird, {}, Offset{15}, Offset{20}, kElected);
  EXPECT_EQ(high_watermark(state, 20), Offset{15});
}

TEST(LeaderState, ALoneIsrMemberDoesNotWaitForAbsentReplicas) {
  EXPECT_EQ(high_watermark(leader({kSelf}), 20), Offset{20});
}

TEST(LeaderState, WaitsForAReplicaThatIsAboutToJoinTheIsr) {
  LeaderState state = leader({kSelf});
  state.note_fetch(kSecond, BrokerEpoch{5}, Offset{12}, Offset{12},
                   kElected);  // caught up just now
  EXPECT_EQ(high_watermark(state, 20), Offset{12});
  EXPECT_EQ(high_watermark(state, 20, 1, kElected + 31s), Offset{20});
}

TEST(LeaderState, DoesNotWaitForAReplicaThatMayNotJoin) {
  LeaderState state = leader({kSelf});
  state.note_fetch(kSecond, BrokerEpoch{4}, Offset{12}, Offset{12}, kElected);
  EXPECT_EQ(high_watermark(state, 20), Offset{20});  // it has registered again since
  state.note_fetch(kSecond, BrokerEpoch{5}, Offset{20}, Offset{20}, kElected);
  const auto fenced = [](BrokerId) { return std::optional<BrokerEpoch>(); };
  EXPECT_EQ(state.next_high_watermark(Offset{10}, Offset{25}, 1, 30s, fenced, kElected),
            Offset{25});
}

TEST(LeaderState, AnAdditionCountsAtOnceAndARemovalWhenItIsCommitted) {
  LeaderState state = leader({kSelf, kSecond});
  state.note_fetch(kSecond, BrokerEpoch{5}, Offset{20}, Offset{20}, kElected);
  state.note_fetch(kThird, BrokerEpoch{5}, Offset{15}, Offset{20}, kElected - 1h);
  EXPECT_TRUE(state.propose_expansion(kThird, Offset{10}, registered, kElected));
  EXPECT_EQ(high_watermark(state, 20), Offset{15});
  EXPECT_FALSE(state.propose_shrink(Offset{20}, 30s, registered, kElected));  // one at a time
  EXPECT_EQ(state.on_decision({ErrorCode::kIneligibleReplica}, kElected),
            LeaderState::Verdict::kRejected);
  EXPECT_EQ(high_watermark(state, 20), Offset{20});

  const auto shrunk = state.propose_shrink(Offset{30}, 30s, registered, kElected + 1h);
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->isr.size(), 1u);
  EXPECT_EQ(high_watermark(state, 30, 1, kElected + 1h), Offset{20});
  EXPECT_EQ(state.on_decision({ErrorCode::kNone, LeaderEpoch{1}, PartitionEpoch{1}, {kSelf}},
                              kElected + 1h),
            LeaderState::Verdict::kCommitted);
  EXPECT_EQ(high_watermark(state, 30, 1, kElected + 1h), Offset{30});
}

TEST(LeaderState, StandsStillBelowTheMinimumIsr) {
  LeaderState state = leader({kSelf});
  EXPECT_EQ(high_watermark(state, 20, 2), Offset{10});
  state.update({LeaderEpoch{1}, PartitionEpoch{1}, {kSelf}, {kSelf}}, kElected);
  EXPECT_EQ(high_watermark(state, 20, 2), Offset{20});  // one replica can have no more than one
}

TEST(LeaderState, CaughtUpMeansTheLogEndOfTheFetchBefore) {
  LeaderState state = leader({kSelf});
  state.note_fetch(kSecond, {}, Offset{10}, Offset{20}, kElected);
  state.note_fetch(kSecond, {}, Offset{20}, Offset{30}, kElected + 5s);
  EXPECT_EQ(state.remotes().at(kSecond).last_caught_up, kElected);
  state.note_fetch(kSecond, {}, Offset{25}, Offset{40}, kElected + 9s);  // behind 30
  EXPECT_EQ(state.remotes().at(kSecond).last_caught_up, kElected);
}

}  // namespace
}  // namespace broker::replication
