#include "broker/replication/partition.h"

#include <gtest/gtest.h>

#include "broker/replication/broker_for_tests.h"

namespace broker::replication {
namespace {

using namespace std::chrono_literals;
using testing::batch;
using testing::kNode;
using testing::kOrders;

constexpr BrokerId kFollower{2};

class Host final : public PartitionHost {
 public:
  void run_flush(storage::FlushJob job, Done done) override { done(job, job.run(), Instant{}, 0); }
  void on_waiting(const Partition&) override { ++waiting; }
  std::optional<BrokerEpoch> eligible_epoch(BrokerId) const override { return std::nullopt; }
  void propose_isr(const Partition&, std::uint64_t, IsrChange) override {}
  void on_follower_flushed(Partition&) override {}
  int waiting = 0;
};

/// A partition of two replicas, this broker leading in epoch 1.
class LedPartition : public ::testing::Test {
 protected:
  LedPartition() {
    char name[] = "/tmp/millrace-partition-XXXXXX";
    directory_ = ::mkdtemp(name);
    log_ = storage::Log::open(files_, directory_ + "/orders-0", {"orders", 0}, {}, {}).value();
    lead({kNode, kFollower});
  }
  ~LedPartition() override {
    partition->stop(ErrorCode::kNotLeaderOrFollower);
    log_.reset();
    (void)fs_->remove_recursively(directory_);
  }

  void lead(std::vector<BrokerId> isr, int epoch = 1) {
    partition->become_leader(
        log_, testing::TestBroker::registration({kNode, kFollower}, std::move(isr), epoch),
        settings, Offset{0}, kStart);
  }
  std::shared_ptr<std::optional<ProduceResult>> append(Slice records, Acks acks = Acks::kAll) {
    auto answer = std::make_shared<std::optional<ProduceResult>>();
    partition->append(records, acks, AppendOrigin::kClient, 1s, kStart, 1'700'000'000'000,
                      [answer](ProduceResult result) { *answer = std::move(result); });
    return answer;
  }
  FetchResult fetch(std::int64_t offset, bool follower = false,
                    std::optional<LeaderEpoch> epoch = {}) {
    return partition->fetch({follower ? kFollower : BrokerId{-1}}, {Offset{offset}, epoch}, 1 << 20,
                            true, Isolation::kReadUncommitted, kStart);
  }

  static constexpr Instant kStart = Instant{} + 1h;
  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  storage::FileCache files_{*fs_, 10};
  std::string directory_;
  std::shared_ptr<storage::Log> log_;
  Host host;
  TopicCounters counters;
  Partition::Settings settings;
  std::shared_ptr<Partition> partition =
      std::make_shared<Partition>(TopicIdPartition{kOrders, "orders", 0}, kNode, host, counters);
};

TEST_F(LedPartition, AcksAllWaitsForTheFollower) {
  const auto all = append(batch(2));
  const auto one = append(batch(1), Acks::kLeader);
  EXPECT_FALSE(all->has_value());
  EXPECT_TRUE(one->has_value());
  EXPECT_EQ(host.waiting, 1);
  EXPECT_TRUE(fetch(0).records.empty());         // not committed
  EXPECT_FALSE(fetch(0, true).records.empty());  // but the follower may have it
  fetch(2, true);
  ASSERT_TRUE(all->has_value());
  EXPECT_EQ((*all)->error, ErrorCode::kNone);
  EXPECT_EQ(partition->high_watermark(), Offset{2});
  EXPECT_FALSE(fetch(0).records.empty());
}

TEST_F(LedPartition, ASmallIsrRefusesAcksAllBeforeTheWrite) {
  settings.min_insync_replicas = 2;
  lead({kNode});
  EXPECT_EQ((*append(batch()))->error, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(log_->log_end_offset(), Offset{0});
  EXPECT_EQ((*append(batch(), Acks::kLeader))->error, ErrorCode::kNone);
  EXPECT_EQ(partition->high_watermark(), Offset{0});  // accepted, but not visible
}

TEST_F(LedPartition, AnIsrThatShrinksToLittleAfterTheWriteIsReported) {
  const auto answer = append(batch());
  settings.min_insync_replicas = 2;
  lead({kNode});
  EXPECT_FALSE(answer->has_value());
  settings.min_insync_replicas = 1;
  lead({kNode});
  EXPECT_EQ((*answer)->error, ErrorCode::kNone);
}

TEST_F(LedPartition, ARepetitionGetsTheFirstAnswer) {
  lead({kNode});
  EXPECT_EQ((*append(batch(2, 9, 0)))->base_offset, Offset{0});
  EXPECT_EQ((*append(batch(1, 9, 2)))->base_offset, Offset{2});
  EXPECT_EQ((*append(batch(2, 9, 0)))->base_offset, Offset{0});
  EXPECT_EQ(log_->log_end_offset(), Offset{3});
  EXPECT_EQ(counters.messages_in, 3);
  EXPECT_EQ((*append(batch(1, 9, 7)))->error, ErrorCode::kOutOfOrderSequenceNumber);
}

TEST_F(LedPartition, LosingLeadershipAnswersWhatWaits) {
  const auto answer = append(batch());
  partition->become_follower(
      log_, testing::TestBroker::registration({kNode, kFollower}, {kFollower}, 2, kFollower),
      settings, Offset{0}, kStart);
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->error, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ((*answer)->current_leader, (CurrentLeader{kFollower, LeaderEpoch{2}}));
  EXPECT_EQ(fetch(0).error, ErrorCode::kNotLeaderOrFollower);
}

TEST_F(LedPartition, ChecksTheReadersEpochAndOffset) {
  lead({kNode}, 5);
  append(batch());
  EXPECT_EQ(fetch(0, false, LeaderEpoch{4}).error, ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(fetch(0, false, LeaderEpoch{6}).error, ErrorCode::kUnknownLeaderEpoch);
  EXPECT_EQ(fetch(2).error, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(fetch(1).error, ErrorCode::kNone);
}

TEST_F(LedPartition, ADivergingFollowerIsToldWhereItsEpochEnded) {
  lead({kNode}, 1);
  append(batch(3));
  lead({kNode}, 4);
  append(batch(3));
  const FetchResult result = partition->fetch({kFollower}, {Offset{5}, {}, LeaderEpoch{1}}, 1 << 20,
                                              true, Isolation::kReadUncommitted, kStart);
  ASSERT_TRUE(result.diverging_epoch);
  EXPECT_EQ(*result.diverging_epoch, (EpochEndOffset{LeaderEpoch{1}, Offset{3}}));
  EXPECT_TRUE(result.records.empty());
  EXPECT_EQ(partition->end_of_epoch({{}, {}, LeaderEpoch{2}}).end,
            (EpochEndOffset{LeaderEpoch{1}, Offset{3}}));
}

TEST_F(LedPartition, AFailedLogTakesOnlyThePartitionOffline) {
  const auto waiting = append(batch());
  partition->go_offline(Error{ErrorCode::kKafkaStorageError, "disk on fire"});
  EXPECT_EQ((*waiting)->error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ((*append(batch()))->error, ErrorCode::kKafkaStorageError);
  EXPECT_EQ(fetch(0).error, ErrorCode::kKafkaStorageError);
  EXPECT_TRUE(partition->gauges().offline);
}

}  // namespace
}  // namespace broker::replication
