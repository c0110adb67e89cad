#include "broker/replication/replica_manager.h"

#include <gtest/gtest.h>

#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/replication/broker_for_tests.h"

namespace broker::replication {
namespace {

using namespace std::chrono_literals;
using testing::batch;
using testing::kNode;
using testing::kOrders;
using testing::TestBroker;

class Replicas : public ::testing::TestWithParam<std::size_t> {
 protected:
  Replicas() {
    broker.start();
    broker.create_topic("orders", kOrders, 4);
    broker.publish();
  }
  TestBroker broker{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(OneStrandAndThree, Replicas, ::testing::Values(1u, 3u));

TEST_P(Replicas, WhatIsProducedIsFetched) {
  for (int partition = 0; partition < 4; ++partition) {
    const ProduceResult produced = broker.produce(partition, batch(3));
    EXPECT_EQ(produced.error, ErrorCode::kNone);
    EXPECT_EQ(produced.base_offset, Offset{0});
  }
  EXPECT_EQ(broker.produce(2, batch(1)).base_offset, Offset{3});
  const auto fetched = broker.fetch({{0, 0}, {1, 0}, {2, 3}, {3, 3}});
  ASSERT_TRUE(fetched->has_value());
  const auto& results = **fetched;
  EXPECT_EQ(results[0].high_watermark, Offset{3});
  EXPECT_FALSE(results[1].records.empty());
  EXPECT_EQ(record::BatchHeader(results[2].records.span()).base_offset(), Offset{3});
  EXPECT_TRUE(results[3].records.empty());
}

TEST_P(Replicas, AnswersEachPartitionOfARequestInItsPlace) {
  ProducePlan plan;
  for (const int partition : {3, 9, 1})
    plan.partitions.push_back({{kOrders, "orders", partition}, batch(2)});
  std::vector<ProduceResult> results;
  broker.replicas->produce(std::move(plan), [&](auto r) { results = std::move(r); });
  broker.world.run();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].base_offset, Offset{0});
  EXPECT_EQ(results[1].error, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(results[2].base_offset, Offset{0});
}

TEST_P(Replicas, ALongPollEndsWithTheFirstRecord) {
  const auto fetched = broker.fetch({{0, 0}, {1, 0}, {2, 0}, {3, 0}});
  EXPECT_FALSE(fetched->has_value());
  EXPECT_EQ(broker.collect().fetch_waiters, 4u);
  broker.produce(2, batch());
  ASSERT_TRUE(fetched->has_value());
  EXPECT_FALSE((**fetched)[2].records.empty());
  EXPECT_EQ(broker.collect().fetch_waiters, 0u);
}

TEST_P(Replicas, ALongPollEndsEmptyHandedAtItsDeadline) {
  const auto fetched = broker.fetch({{0, 0}, {1, 0}}, {.max_wait = 500ms});
  broker.world.advance(499ms);
  EXPECT_FALSE(fetched->has_value());
  broker.world.advance(1ms);
  ASSERT_TRUE(fetched->has_value());
  EXPECT_EQ((**fetched)[0].error, ErrorCode::kNone);
  EXPECT_EQ(broker.collect().fetch_waiters, 0u);
}

TEST_P(Replicas, ALongPollGathersMinBytesAcrossPartitions) {
  const auto size = static_cast<std::int32_t>(batch().size());
  const auto fetched =
      broker.fetch({{0, 0}, {1, 0}, {2, 0}}, {.max_wait = 500ms, .min_bytes = 3 * size});
  broker.produce(0, batch());
  broker.produce(1, batch());
  EXPECT_FALSE(fetched->has_value());
  broker.produce(2, batch());
  ASSERT_TRUE(fetched->has_value());
  for (const FetchResult& result : **fetched) EXPECT_FALSE(result.records.empty());
  EXPECT_EQ(broker.collect().topics["orders"].bytes_out, 3 * size);
}

// The news of one strand is told before another strand has heard of the request.
TEST_P(Replicas, AFollowersFetchNeverHangsWhicheverStrandHasNews) {
  constexpr TopicId kCopied{1, 8};
  constexpr int kPartitions = 6;
  broker.create_topic("copied", kCopied, kPartitions, {}, {kNode, BrokerId{2}});
  broker.publish();
  std::map<int, std::int64_t> ends;
  std::int32_t session = 0;
  std::int32_t epoch = 0;
  const auto fetch = [&](const std::vector<int>& named) {
    protocol::FetchRequest request;
    request.replica_state.replica_id = 2;
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    request.session_id = session;
    request.session_epoch = epoch++;
    auto& topic = request.topics.emplace_back();
    topic.topic_id = kCopied;
    for (const int partition : named) {
      auto& asked = topic.partitions.emplace_back();
      asked.partition = partition;
      asked.fetch_offset = ends[partition];
      asked.partition_max_bytes = 1 << 20;
    }
    std::optional<protocol::FetchResponse> answer;
    broker.world.strand(0).post([&] {
      broker.replicas->serve_replica(std::move(request),
                                     [&](auto response) { answer = std::move(response); });
    });
    broker.world.run();
    broker.world.advance(500ms);
    ASSERT_TRUE(answer.has_value());
    session = answer->session_id;
  };
  fetch({0, 1, 2, 3, 4, 5});
  for (int partition = 0; partition < kPartitions; ++partition) {
    SCOPED_TRACE(partition);
    ProducePlan plan;
    plan.acks = Acks::kLeader;
    plan.partitions.push_back({{kCopied, "copied", partition}, batch(1)});
    broker.replicas->produce(std::move(plan), [](const auto&) {});
    broker.world.run();
    ++ends[partition];
    fetch({});
    fetch({partition});
  }
}

TEST_P(Replicas, FetchStaysWithinMaxBytesButGivesAtLeastOneBatch) {
  for (int partition = 0; partition < 4; ++partition) broker.produce(partition, batch(10));
  const auto fetched =
      broker.fetch({{0, 0}, {1, 0}, {2, 0}, {3, 0}}, {.max_wait = 0ms, .max_bytes = 1});
  int with_records = 0;
  for (const FetchResult& result : **fetched) with_records += !result.records.empty();
  EXPECT_EQ(with_records, 1);
}

TEST_P(Replicas, DeletingATopicEndsItsLongPolls) {
  const auto fetched = broker.fetch({{0, 0}, {3, 0}});
  broker.delete_topic("orders", kOrders);
  broker.publish();
  ASSERT_TRUE(fetched->has_value());
  EXPECT_EQ((**fetched)[0].error, ErrorCode::kNotLeaderOrFollower);
  EXPECT_TRUE(broker.collect().partitions.empty());
}

TEST_P(Replicas, ATopicCreatedAgainUnderItsNameStartsEmpty) {
  broker.produce(0, batch(5));
  const TopicId again{2, 9};
  broker.delete_topic("orders", kOrders);
  broker.create_topic("orders", again, 4);
  broker.publish();
  const MetricsSnapshot snapshot = broker.collect();
  ASSERT_EQ(snapshot.partitions.size(), 4u);
  for (const PartitionGauges& each : snapshot.partitions) {
    EXPECT_EQ(each.log_end_offset, Offset{0});
    EXPECT_TRUE(each.leader);
  }
}

TEST_P(Replicas, RecordsAndHighWatermarksSurviveARestart) {
  broker.produce(1, batch(5));
  broker.stop();
  EXPECT_TRUE(broker.fs().exists(broker.directory() + "/.kafka_cleanshutdown"));
  broker.open();
  broker.start();
  EXPECT_EQ((**broker.fetch({{1, 0}}))[0].high_watermark, Offset{5});
  EXPECT_EQ(broker.produce(1, batch()).base_offset, Offset{5});
}

TEST_P(Replicas, CountsWhatGoesInAndOut) {
  const Slice sent = batch(3);
  broker.produce(0, sent);
  broker.fetch({{0, 0}});
  broker.produce(0, Slice::copy_of("not a batch"));
  const MetricsSnapshot snapshot = broker.collect();
  const TopicCounters& counters = snapshot.topics.at("orders");
  EXPECT_EQ(counters.messages_in, 3);
  EXPECT_EQ(counters.bytes_in, static_cast<std::int64_t>(sent.size()));
  EXPECT_EQ(counters.bytes_out, static_cast<std::int64_t>(sent.size()));
  EXPECT_EQ(counters.produce_requests, 2);
  EXPECT_EQ(counters.failed_produce_requests, 1);
  EXPECT_EQ(counters.fetch_requests, 1);
}

TEST_P(Replicas, ListsOffsets) {
  broker.produce(0, batch(3));
  ListOffsetsPlan plan;
  for (const std::int64_t timestamp : {kLatestTimestamp, kEarliestTimestamp, kMaxTimestamp,
                                       std::int64_t{1}, std::int64_t{1'800'000'000'000}})
    plan.partitions.push_back({{kOrders, "orders", 0}, {}, timestamp});
  plan.partitions.push_back({{kOrders, "orders", 0}, LeaderEpoch{0}, kLatestTimestamp});
  std::vector<ListOffsetsResult> results;
  broker.replicas->list_offsets(std::move(plan), [&](auto r) { results = std::move(r); });
  broker.world.run();
  EXPECT_EQ(results[0].offset, Offset{3});
  EXPECT_EQ(results[0].leader_epoch, LeaderEpoch{1});
  EXPECT_EQ(results[1].offset, Offset{0});
  EXPECT_EQ(results[2].timestamp, 1'700'000'000'000);
  EXPECT_EQ(results[3].offset, Offset{0});
  EXPECT_EQ(results[4].offset, Offset{-1});
  EXPECT_EQ(results[5].error, ErrorCode::kFencedLeaderEpoch);
}

TEST_P(Replicas, DeletesRecordsUpToAnOffset) {
  broker.produce(0, batch(3));
  broker.produce(0, batch(3));
  std::vector<DeleteRecordsResult> results;
  broker.replicas->delete_records({{{kOrders, "orders", 0}, Offset{4}},
                                   {{kOrders, "orders", 0}, Offset{7}},
                                   {{kOrders, "orders", 0}, Offset{-1}}},
                                  [&](auto r) { results = std::move(r); });
  broker.world.run();
  EXPECT_EQ(results[0].low_watermark, Offset{4});
  EXPECT_EQ(results[1].error, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(results[2].low_watermark, Offset{6});
  EXPECT_EQ((**broker.fetch({{0, 4}}))[0].error, ErrorCode::kOffsetOutOfRange);
}

// --- One strand is enough for the rest

class FailingDisk : public ::testing::Test, public LeadershipListener {
 protected:
  void on_become_leader(Partition&, LeaderEpoch epoch) override { led.push_back(epoch.value); }
  void on_resign(Partition&) override { led.push_back(-1); }
  void publish(int epoch, BrokerId leader) {
    broker.delete_topic("orders", kOrders);
    broker.create_topic("orders", kOrders, 1, {}, {kNode, BrokerId{2}}, epoch, leader);
    broker.publish();
  }

  std::vector<int> led;  // epochs; -1: resigned
  TestBroker broker;
};

TEST_F(FailingDisk, WhatWasLedOnItIsResignedWhenAnotherOneLeads) {
  broker.replicas->listen("orders", *this);
  broker.start();
  publish(1, kNode);
  broker.fail_disk();
  EXPECT_EQ(broker.produce(0, batch()).error, ErrorCode::kKafkaStorageError);
  publish(2, kNode);
  EXPECT_EQ(led, std::vector<int>{1});
  publish(3, BrokerId{2});
  EXPECT_EQ(led, (std::vector<int>{1, -1}));
  EXPECT_EQ(broker.produce(0, batch()).error, ErrorCode::kKafkaStorageError);
  publish(4, BrokerId{2});
  EXPECT_EQ(led, (std::vector<int>{1, -1})) << "once";
}

class Flushing : public ::testing::Test {
 protected:
  Flushing() {
    broker.start();
    broker.create_topic("orders", kOrders, 1, {{"flush.messages", "1"}});
    broker.publish();
    broker.world.run();
    broker.world.workers().hold = true;
  }
  ~Flushing() override {
    broker.world.workers().hold = false;
    broker.world.workers().finish();
  }

  void produce(Acks acks) {
    ProducePlan plan;
    plan.acks = acks;
    plan.timeout = 1'000ms;
    plan.partitions.push_back({{kOrders, "orders", 0}, batch()});
    broker.replicas->produce(std::move(plan),
                             [this](auto results) { answers.push_back(results[0].error); });
    broker.world.run();
  }
  void finish_flush() {
    broker.world.workers().finish();
    broker.world.run();
  }

  TestBroker broker;
  std::vector<ErrorCode> answers;
};

TEST_F(Flushing, NothingIsAcknowledgedOrSeenBeforeItIsOnDisk) {
  produce(Acks::kAll);
  produce(Acks::kLeader);
  EXPECT_TRUE(answers.empty());
  EXPECT_EQ(broker.world.workers().queued(), 1u);  // the second goes with the next flush
  EXPECT_TRUE((**broker.fetch({{0, 0}}, {.max_wait = 0ms}))[0].records.empty());
  finish_flush();
  EXPECT_EQ(answers.size(), 1u);
  finish_flush();
  EXPECT_EQ(answers, (std::vector<ErrorCode>(2, ErrorCode::kNone)));
  EXPECT_EQ((**broker.fetch({{0, 0}}, {.max_wait = 0ms}))[0].high_watermark, Offset{2});
}

TEST_F(Flushing, WhatWasWrittenBeforeTheTopicAskedForItIsFlushedToo) {
  broker.world.workers().hold = false;
  const TopicId plain{4, 4};
  broker.create_topic("plain", plain, 1);
  broker.publish();
  ProducePlan plan;
  plan.partitions.push_back({{plain, "plain", 0}, batch()});
  broker.replicas->produce(std::move(plan), [](auto) {});
  broker.world.workers().hold = true;
  broker.create_topic("plain", plain, 1, {{"flush.messages", "1"}});
  broker.publish();
  EXPECT_EQ(broker.world.workers().queued(), 1u);
}

TEST_F(Flushing, AWriteThatTakesTooLongIsAnsweredInTime) {
  produce(Acks::kAll);
  broker.world.advance(1'100ms);
  EXPECT_EQ(answers, (std::vector<ErrorCode>{ErrorCode::kRequestTimedOut}));
  EXPECT_EQ(broker.collect().produce_waiters, 0u);
}

TEST_F(Flushing, StoppingAnswersWhatWaits) {
  produce(Acks::kAll);
  broker.world.workers().hold = false;
  bool stopped = false;
  auto replicas = std::move(broker.replicas);
  replicas->shut_down(std::nullopt, [&](Result<void> result) { stopped = result.ok(); });
  EXPECT_EQ(answers, (std::vector<ErrorCode>{ErrorCode::kNotLeaderOrFollower}));
  EXPECT_FALSE(stopped);  // a flush is still under way
  broker.world.workers().finish();
  broker.world.run();
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace broker::replication
