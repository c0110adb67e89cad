#include "broker/sim/campaign.h"

#include <gtest/gtest.h>

namespace broker::sim {
namespace {

// ./dev test sim runs thousands of seeds; here a few say that the simulation itself is sound.

TEST(Campaign, ASeedIsTheSameRunEveryTime) {
  for (const std::uint64_t seed : {3, 4}) {
    Plan plan = draw_plan(seed);
    plan.storm = std::chrono::seconds(60);
    const Report first = run(plan), second = run(plan);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
    EXPECT_GT(first.acknowledged, 0u);
  }
}

TEST(Campaign, NothingIsLostInAFewRuns) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const Report report = run(draw_plan(seed));
    EXPECT_FALSE(report.violation) << "./dev sim --seed " << seed << ": " << *report.violation;
  }
}

}  // namespace
}  // namespace broker::sim
