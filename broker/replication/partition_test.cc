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
  void verify_transaction(const Partition&, TransactionCheck check, Verified done) override {
    asked.push_back({std::move(check), std::move(done)});
  }
  Instant now() const override { return Instant{} + 1h; }
  WallMs wall_now() const override { return 1'700'000'000'000; }
  int waiting = 0;
  std::vector<std::pair<TransactionCheck, Verified>> asked;
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
  std::shared_ptr<TopicCounters> counters = std::make_shared<TopicCounters>();
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

TEST_F(LedPartition, CountsOnForWhomeverHoldsItWhenItsTopicIsGone) {
  const std::weak_ptr<TopicCounters> watched = counters;
  counters.reset();
  fetch(99, true);
  ASSERT_FALSE(watched.expired());
  EXPECT_EQ(watched.lock()->failed_fetch_requests, 1);
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
  EXPECT_EQ(counters->messages_in, 3);
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

// --- Transactions

Slice in_transaction(std::int32_t sequence, std::int16_t epoch = 0) {
  record::BatchBuilder builder({.producer_id = ProducerId{9},
                                .producer_epoch = ProducerEpoch{epoch},
                                .base_sequence = sequence,
                                .transactional = true});
  builder.add(1'700'000'000'000, "key", "value");
  return builder.build().value();
}

class Transactional : public LedPartition {
 protected:
  Transactional() { lead({kNode}); }

  std::shared_ptr<std::optional<ProduceResult>> produce(Slice records, bool add = true) {
    auto answer = std::make_shared<std::optional<ProduceResult>>();
    partition->append_in_transaction(
        {.transactional_id = "tx", .add_partition = add, .knows_abortable = true}, records,
        Acks::kAll, 1s, [answer](ProduceResult result) { *answer = std::move(result); });
    return answer;
  }
  ErrorCode mark(bool commit, std::int16_t epoch, std::int32_t coordinator_epoch = 0) {
    ErrorCode error{};
    partition->append_marker({commit ? record::ControlType::kCommit : record::ControlType::kAbort,
                              ProducerId{9}, ProducerEpoch{epoch}, coordinator_epoch},
                             2, 1s, kStart, 0, [&](ProduceResult r) { error = r.error; });
    return error;
  }
  void answer(ErrorCode error) { std::exchange(host.asked.back().second, nullptr)(error); }
};

TEST_F(Transactional, TheFirstBatchWaitsForTheCoordinatorAndTheOthersBehindIt) {
  const auto first = produce(in_transaction(0));
  const auto second = produce(in_transaction(1));
  EXPECT_FALSE(first->has_value());
  ASSERT_EQ(host.asked.size(), 1u);
  EXPECT_EQ(host.asked[0].first.producer_id, ProducerId{9});
  answer(ErrorCode::kNone);
  EXPECT_EQ((*first)->base_offset, Offset{0});
  EXPECT_EQ((*second)->base_offset, Offset{1});
  EXPECT_EQ((*produce(in_transaction(2)))->base_offset, Offset{2}) << "it is open now";
  EXPECT_EQ(host.asked.size(), 1u);
}

TEST_F(Transactional, ARefusalByTheCoordinatorIsToldAsClientsKnowIt) {
  const auto refused = produce(in_transaction(0));
  answer(ErrorCode::kTransactionAbortable);
  EXPECT_EQ((*refused)->error, ErrorCode::kTransactionAbortable);
  const auto later = produce(in_transaction(0));
  answer(ErrorCode::kNotCoordinator);
  EXPECT_EQ((*later)->error, ErrorCode::kNotEnoughReplicas);
  EXPECT_EQ(log_->log_end_offset(), Offset{0});
}

TEST_F(Transactional, AfterAMarkerTheCoordinatorIsAskedAgain) {
  const auto late = produce(in_transaction(0));
  EXPECT_EQ(mark(false, 1), ErrorCode::kNone);
  ASSERT_EQ(host.asked.size(), 2u);
  host.asked.front().second(ErrorCode::kNone);
  EXPECT_FALSE(late->has_value()) << "that was said of the transaction before";
  answer(ErrorCode::kProducerFenced);
  EXPECT_EQ((*late)->error, ErrorCode::kProducerFenced);
  EXPECT_EQ(log_->log_end_offset(), Offset{1}) << "the marker only";
  // A batch of the next transaction may be faster than the marker of the one before.
  const auto next = produce(in_transaction(0, 1));
  EXPECT_EQ(mark(false, 1), ErrorCode::kNone);
  answer(ErrorCode::kNone);
  EXPECT_EQ((*next)->base_offset, Offset{2});
}

TEST_F(Transactional, WithoutVerificationNothingGetsIn) {
  EXPECT_EQ((*append(in_transaction(0)))->error, ErrorCode::kInvalidTxnState);
  settings.verify_transactions = false;
  lead({kNode});
  EXPECT_EQ((*append(in_transaction(0)))->error, ErrorCode::kNone);
}

TEST_F(Transactional, TheStableOffsetStandsUntilTheMarkerIsReplicated) {
  lead({kNode, kFollower});
  const auto first = produce(in_transaction(0));
  answer(ErrorCode::kNone);
  append(batch());
  fetch(2, true);
  EXPECT_EQ(partition->high_watermark(), Offset{2});
  EXPECT_EQ(partition->last_stable_offset(), Offset{0});
  mark(true, 1);
  EXPECT_EQ(partition->last_stable_offset(), Offset{0});
  fetch(3, true);
  EXPECT_EQ(partition->last_stable_offset(), Offset{3});
}

TEST_F(Transactional, ReadCommittedIsToldWhatWasAborted) {
  produce(in_transaction(0));
  answer(ErrorCode::kNone);
  EXPECT_EQ(mark(false, 0), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(mark(false, 1, 5), ErrorCode::kNone);
  EXPECT_EQ(mark(false, 2, 4), ErrorCode::kTransactionCoordinatorFenced);
  const FetchResult read =
      partition->fetch({}, {Offset{0}}, 1 << 20, true, Isolation::kReadCommitted, kStart);
  EXPECT_EQ(read.aborted, (std::vector<AbortedTransaction>{{ProducerId{9}, Offset{0}}}));
  EXPECT_EQ(read.last_stable_offset, Offset{2});
}

TEST_F(Transactional, AForgottenEpochDoesNotBeginInTheMiddle) {
  const auto forgotten = produce(in_transaction(3));
  answer(ErrorCode::kNone);
  EXPECT_EQ((*forgotten)->error, ErrorCode::kOutOfOrderSequenceNumber);
  const auto older = produce(in_transaction(3), false);
  answer(ErrorCode::kNone);
  EXPECT_EQ((*older)->error, ErrorCode::kNone) << "an older client's epoch lives on";
}

TEST_F(Transactional, LosingLeadershipEndsTheQuestion) {
  const auto waiting = produce(in_transaction(0));
  partition->become_follower(
      log_, testing::TestBroker::registration({kNode, kFollower}, {kFollower}, 2, kFollower),
      settings, Offset{0}, kStart);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->error, ErrorCode::kNotLeaderOrFollower);
  answer(ErrorCode::kNone);
  EXPECT_EQ(log_->log_end_offset(), Offset{0});
}

}  // namespace
}  // namespace broker::replication
