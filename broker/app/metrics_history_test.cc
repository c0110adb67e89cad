#include "broker/app/metrics_history.h"

#include <gtest/gtest.h>

namespace broker::app {
namespace {

using namespace std::chrono_literals;
using server::RequestTimes;

TEST(RequestTimes, FallIntoTheFirstCellThatIsLongEnough) {
  RequestTimes times;
  for (const auto took : {1us, 100us, 101us, 60'000'000us, 999'000'000us}) times.add(took);
  const auto counts = times.counts();
  EXPECT_EQ(counts[0], 2);
  EXPECT_EQ(counts[1], 1);
  EXPECT_EQ(counts[RequestTimes::kCells - 1], 2);  // longer than all bounds
  EXPECT_EQ(times.microseconds.value(), 1'059'000'202);
}

TEST(RequestTimes, QuantilesLieBetweenTheBoundsOfTheirCell) {
  RequestTimes::Counts counts{};
  EXPECT_EQ(quantile_ms(counts, 0.99), 0);
  counts[1] = 90;  // 0.1 to 0.2 ms
  counts[4] = 10;  // 0.8 to 1.6 ms
  EXPECT_DOUBLE_EQ(quantile_ms(counts, 0.45), 0.15);
  EXPECT_DOUBLE_EQ(quantile_ms(counts, 0.95), 1.2);
  EXPECT_DOUBLE_EQ(quantile_ms(counts, 1), 1.6);
}

TEST(MetricsHistory, AnswersWithTheNewestSampleThatIsOldEnough) {
  const Instant start{};
  MetricsHistory history(start);
  for (int i = 1; i <= 100; ++i) {
    MetricsSample sample;
    sample.at = start + i * 5s;
    sample.commits = i;
    history.add(std::move(sample));
  }
  const Instant now = start + 500s;
  EXPECT_EQ(history.before(now, 30s).at, start + 465s);  // one in fifteen seconds is kept
  EXPECT_EQ(history.before(now, MetricsHistory::kDepth).at, start + 195s);
  EXPECT_EQ(history.before(start + 1s, 30s).at, start + 195s);  // nothing older is kept
}

}  // namespace
}  // namespace broker::app
