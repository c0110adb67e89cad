// The figures are those of Apache Kafka's own Rate and TokenBucket for the same values.
#include "broker/common/rate.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace broker {
namespace {

using std::chrono::milliseconds;

struct Step {
  std::int64_t at_ms;
  double value;  // recorded unless 0
  double per_second;
  std::int64_t length_ms;
};

void expect_rates(std::int32_t samples, const std::vector<Step>& steps) {
  SampledRate rate({.samples = samples});
  for (const Step& step : steps) {
    SCOPED_TRACE(step.at_ms);
    const Instant now{milliseconds(1'000'000 + step.at_ms)};
    if (step.value != 0) rate.record(step.value, now);
    EXPECT_DOUBLE_EQ(rate.per_second(now), step.per_second);
    EXPECT_EQ(rate.length(now).count(), step.length_ms);
  }
}

TEST(SampledRate, ABurstAfterSilenceIsSpreadOverTheWindow) {
  expect_rates(11, {{0, 5000, 500.0, 10000},
                    {0, 6000, 1100.0, 10000},
                    {100, 0, 1089.1089108910892, 10100},
                    {1000, 0, 1100.0, 10000},
                    {5000, 4000, 1500.0, 10000},
                    {9999, 1, 1363.8512592053823, 10999},
                    {10000, 1, 1500.2, 10000},
                    {10500, 100, 1438.2857142857142, 10500},
                    {11000, 0, 410.2, 10000},
                    {11001, 0, 410.15898410158985, 10001},
                    {12000, 7, 410.9, 10000},
                    {15999, 0, 373.57941631057366, 10999},
                    {16000, 0, 10.898910108989101, 10001},
                    {16001, 0, 10.897820435912816, 10002},
                    {40000, 10, 1.0, 10000}});
}

TEST(SampledRate, SamplesThatBeginLateStillCoverTheWindow) {
  expect_rates(11, {{0, 12000, 1200.0, 10000},
                    {500, 0, 1142.857142857143, 10500},
                    {1500, 100, 1152.3809523809523, 10500},
                    {2600, 100, 1150.9433962264152, 10600},
                    {3700, 3000, 1420.5607476635514, 10700},
                    {4800, 1, 1407.5, 10800},
                    {5900, 1, 1394.6788990825687, 10900},
                    {7000, 1, 1520.3, 10000},
                    {8100, 1, 1505.3465346534654, 10100},
                    {9200, 1, 1490.686274509804, 10200},
                    {10300, 1, 1476.3106796116504, 10300},
                    {11400, 1, 294.2201834862385, 10900},
                    {12500, 1, 285.13761467889907, 10900},
                    {13600, 1, 276.0550458715596, 10900},
                    {14700, 1, 0.9174311926605504, 10900}});
}

TEST(SampledRate, ASteadyFlowIsItsRateAndCanBeTakenBack) {
  expect_rates(11, {{0, 1000, 100.0, 10000},
                    {999, 1000, 181.83471224656785, 10999},
                    {1000, 1000, 300.0, 10000},
                    {1001, 1000, 399.9600039996001, 10001},
                    {2000, 1000, 500.0, 10000},
                    {3000, 1000, 600.0, 10000},
                    {4000, 1000, 700.0, 10000},
                    {5000, 1000, 800.0, 10000},
                    {6000, 1000, 900.0, 10000},
                    {7000, 1000, 1000.0, 10000},
                    {8000, 1000, 1100.0, 10000},
                    {9000, 1000, 1200.0, 10000},
                    {10000, 1000, 1300.0, 10000},
                    {11000, 1000, 1272.7272727272727, 11000},
                    {12000, 1000, 1181.8181818181818, 11000},
                    {13000, 1000, 1100.0, 10000},
                    {23000, 500, 150.0, 10000},
                    {24000, 500, 100.0, 10000},
                    {24000, -500, 50.0, 10000}});
}

TEST(SampledRate, AShortWindowForgetsSoon) {
  expect_rates(3, {{0, 100, 50.0, 2000},
                   {700, 50, 55.55555555555555, 2700},
                   {1900, 30, 62.06896551724138, 2900},
                   {2950, 10, 64.40677966101694, 2950},
                   {3000, 5, 65.0, 3000},
                   {3900, 1, 23.0, 2000},
                   {6000, 1, 5.573770491803279, 3050}});
}

TEST(SampledRate, AveragesWhatTheWindowHolds) {
  SampledRate rate({});
  const Instant start{milliseconds(5'000)};
  EXPECT_EQ(rate.average(start), 0);
  rate.record(10, start);
  rate.record(30, start + milliseconds(1'500));
  EXPECT_EQ(rate.average(start + milliseconds(1'500)), 20);
  EXPECT_EQ(rate.average(start + milliseconds(11'000)), 30);
  EXPECT_EQ(rate.average(start + milliseconds(20'000)), 0);
}

TEST(TokenBucket, LetsABurstThroughAndThenTheRate) {
  TokenBucket bucket({});
  const auto level = [&](std::int64_t at_ms, double record) {
    const Instant now{milliseconds(1'000'000 + at_ms)};
    if (record != 0) bucket.record(record, 5, now);
    return bucket.level(5, now);
  };
  EXPECT_DOUBLE_EQ(level(0, 0), 55);
  EXPECT_DOUBLE_EQ(level(0, 10), 45);
  EXPECT_DOUBLE_EQ(level(0, 60), -15);
  EXPECT_DOUBLE_EQ(level(100, 0), -14.5);
  EXPECT_DOUBLE_EQ(level(1000, 0), -10);
  EXPECT_DOUBLE_EQ(level(3000, 0), 0);
  EXPECT_DOUBLE_EQ(level(4000, 10), -5);
  EXPECT_DOUBLE_EQ(level(20'000, 0), 55);
  EXPECT_DOUBLE_EQ(level(20'000, -5), 55);
  EXPECT_DOUBLE_EQ(level(20'001, 55), 0);
  EXPECT_DOUBLE_EQ(level(20'001, 1), -1);
}

}  // namespace
}  // namespace broker
