// The cleaner of a broker, over several strands.
#include "broker/replication/log_cleaner.h"

#include <gtest/gtest.h>

#include "broker/replication/broker_for_tests.h"
#include "broker/storage/checkpoint_file.h"

namespace broker::replication {
namespace {

using namespace std::chrono_literals;
using testing::batch;
using testing::kOrders;
using testing::TestBroker;

constexpr int kTables = 3;

/// Each batch in a segment of its own: the next one comes a millisecond later.
Slice one_record(int i) {
  record::BatchBuilder builder;
  builder.add(1'700'000'000'000 + 10 * i, "key", "value " + std::to_string(i));
  return builder.build().value();
}

class LogCleanerTest : public ::testing::Test {
 protected:
  void run(std::map<std::string, std::string> configs) {
    configs["segment.ms"] = "1";
    broker.create_topic("orders", kOrders, kTables, configs);
    broker.start();
  }
  void fill(int partition, int records) {
    for (int i = 0; i < records; ++i)
      ASSERT_EQ(broker.produce(partition, one_record(i)).error, ErrorCode::kNone);
  }
  std::size_t segments(int partition) {
    for (const PartitionGauges& gauges : broker.collect().partitions)
      if (gauges.partition == partition) return gauges.segments;
    return 0;
  }

  TestBroker broker{2};
};

TEST_F(LogCleanerTest, CompactsWhatIsDueOnAllStrandsAndRemembersHowFar) {
  run({{"cleanup.policy", "compact"}});
  for (int p = 0; p < kTables; ++p) fill(p, 10);
  EXPECT_EQ(segments(0), 10u);
  broker.world.advance(14s);
  EXPECT_EQ(segments(0), 10u) << "log.cleaner.backoff.ms is not over";
  broker.world.advance(10s);
  for (int p = 0; p < kTables; ++p) EXPECT_EQ(segments(p), 2u) << p;
  const CleanerMetrics cleaner = broker.collect().cleaner.value();
  EXPECT_EQ(cleaner.cleanings, kTables);
  EXPECT_LT(cleaner.last_recopy_percent, 100.0);
  EXPECT_EQ(
      storage::read_offset_checkpoint(broker.fs(),
                                      broker.directory() + "/cleaner-offset-checkpoint")
          .value(),
      (storage::OffsetCheckpoint{
          {{"orders", 0}, Offset{9}}, {{"orders", 1}, Offset{9}}, {{"orders", 2}, Offset{9}}}));
  broker.world.advance(60s);
  EXPECT_EQ(broker.collect().cleaner->cleanings, kTables) << "nothing is dirty";
  EXPECT_EQ(broker.collect().cleaner->max_dirty_percent, 0);
}

TEST_F(LogCleanerTest, GoesOnAfterARestartWhereItStopped) {
  run({{"cleanup.policy", "compact"}});
  fill(0, 10);
  broker.world.advance(30s);
  ASSERT_EQ(segments(0), 2u);
  broker.stop();
  broker.open();
  broker.start();
  broker.world.advance(60s);
  EXPECT_EQ(broker.collect().cleaner->cleanings, 0);
  const auto fetched = broker.fetch({{0, 0}});
  ASSERT_TRUE(fetched->has_value());
  EXPECT_FALSE(fetched->value().at(0).records.empty());
}

TEST_F(LogCleanerTest, LeavesOtherPoliciesAlone) {
  run({{"cleanup.policy", "delete"}});
  fill(0, 10);
  broker.world.advance(60s);
  EXPECT_EQ(segments(0), 10u);
}

TEST_F(LogCleanerTest, GivesUpWhenTheBrokerStopsInTheMiddle) {
  run({{"cleanup.policy", "compact"}});
  for (int p = 0; p < kTables; ++p) fill(p, 10);
  broker.world.advance(15s);
  broker.stop();  // checks that all is closed
  broker.open();
  broker.start();
  EXPECT_EQ(broker.collect().partitions.size(), std::size_t{kTables});
}

}  // namespace
}  // namespace broker::replication
