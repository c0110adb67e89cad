#include "broker/coordinator/transaction/marker_sender.h"

#include <gtest/gtest.h>

#include <deque>

namespace broker::coordinator::transaction {
namespace {

using namespace std::chrono_literals;
using Answer = UniqueFunction<void(Result<protocol::WriteTxnMarkersResponse>)>;

/// A strand whose time stands still unless advance() moves it.
class FakeStrand final : public io::Strand {
 public:
  void post(Task task) override { tasks.push_back(std::move(task)); }
  bool is_current() const override { return true; }
  Instant now() const override { return time; }
  WallMs wall_now() const override { return 0; }
  io::TimerId call_at(Instant when, Task task) override {
    timers.emplace(when, std::pair(++last, std::move(task)));
    return last;
  }
  void cancel(io::TimerId timer) override {
    std::erase_if(timers, [&](const auto& each) { return each.second.first == timer; });
  }
  void advance(Duration by) {
    time += by;
    while (!timers.empty() && timers.begin()->first <= time) {
      auto entry = timers.extract(timers.begin());
      entry.mapped().second();
    }
  }
  Instant time{};
  io::TimerId last = io::kNoTimer;
  std::deque<Task> tasks;
  std::multimap<Instant, std::pair<io::TimerId, Task>> timers;
};

class MarkerSenderTest : public testing::Test {
 protected:
  MarkerSenderTest() {
    image = *metadata::MetadataImage::empty();
    set_leaders({BrokerId{1}, BrokerId{2}});
  }
  void set_leaders(std::vector<BrokerId> leaders) {
    metadata::TopicImage topic{"orders", TopicId{1, 1}, {}};
    for (std::size_t i = 0; i < leaders.size(); ++i) {
      metadata::PartitionRegistration partition;
      partition.leader = leaders[i];
      topic.partitions.set(static_cast<std::int32_t>(i), partition);
    }
    image.topics.ids.set(topic.name, topic.id);
    image.topics.by_id.set(topic.id, topic);
  }
  MarkerWork work(std::string id, std::int64_t producer, std::set<TopicPartition> partitions) {
    return {.transactional_id = std::move(id),
            .coordinator_partition = 3,
            .producer = {ProducerId{producer}, ProducerEpoch{1}},
            .commit = true,
            .coordinator_epoch = LeaderEpoch{9},
            .version = 2,
            .partitions = std::move(partitions)};
  }
  void answer(std::size_t index, ErrorCode error) {
    protocol::WriteTxnMarkersResponse response;
    for (const auto& marker : sent[index].request.markers) {
      auto& result = response.markers.emplace_back();
      result.producer_id = marker.producer_id;
      for (const auto& topic : marker.topics) {
        auto& entry = result.topics.emplace_back();
        entry.name = topic.name;
        for (const std::int32_t partition : topic.partition_indexes)
          entry.partitions.push_back({partition, static_cast<std::int16_t>(error)});
      }
    }
    sent[index].done(std::move(response));
  }

  struct Sent {
    BrokerId broker;
    protocol::WriteTxnMarkersRequest request;
    Answer done;
  };
  FakeStrand strand;
  metadata::MetadataImage image;
  std::vector<Sent> sent;
  std::vector<std::string> finished;
  MarkerSender sender{
      {strand, [this] { return std::make_shared<const metadata::MetadataImage>(image); },
       [this](BrokerId broker, protocol::WriteTxnMarkersRequest request, Answer done) {
         sent.push_back({broker, std::move(request), std::move(done)});
       },
       [this](const MarkerWork& w) { finished.push_back(w.transactional_id); }}};
};

TEST_F(MarkerSenderTest, IsFinishedWhenEveryLeaderHasItsMarkers) {
  sender.send(work("a", 5, {{"orders", 0}, {"orders", 1}}));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].broker, BrokerId{1});
  const auto& marker = sent[0].request.markers.at(0);
  EXPECT_EQ(marker.producer_id, 5);
  EXPECT_EQ(marker.coordinator_epoch, 9);
  EXPECT_EQ(marker.transaction_version, 2);
  EXPECT_TRUE(marker.transaction_result);
  answer(0, ErrorCode::kNone);
  EXPECT_TRUE(finished.empty());
  answer(1, ErrorCode::kNone);
  EXPECT_EQ(finished, std::vector<std::string>{"a"});
}

TEST_F(MarkerSenderTest, WhatComesMeanwhileGoesTogetherWithTheNextRequest) {
  sender.send(work("a", 5, {{"orders", 0}}));
  sender.send(work("b", 6, {{"orders", 0}}));
  sender.send(work("c", 7, {{"orders", 0}}));
  ASSERT_EQ(sent.size(), 1u);
  answer(0, ErrorCode::kNone);
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[1].request.markers.size(), 2u);
}

TEST_F(MarkerSenderTest, FollowsTheLeaderAndTriesAgain) {
  sender.send(work("a", 5, {{"orders", 0}}));
  set_leaders({BrokerId{2}, BrokerId{2}});
  answer(0, ErrorCode::kNotLeaderOrFollower);
  ASSERT_EQ(sent.size(), 2u) << "to another broker at once";
  EXPECT_EQ(sent[1].broker, BrokerId{2});
  sent[1].done(Error{ErrorCode::kNetworkException, "gone"});
  EXPECT_EQ(sent.size(), 2u);
  strand.advance(2s);
  ASSERT_EQ(sent.size(), 3u);
  answer(2, ErrorCode::kNone);
  EXPECT_EQ(finished.size(), 1u);
}

TEST_F(MarkerSenderTest, WaitsForALeaderAndSkipsWhatIsGone) {
  set_leaders({metadata::kNoLeader});
  sender.send(work("a", 5, {{"orders", 0}, {"orders", 1}, {"deleted", 0}}));
  EXPECT_TRUE(sent.empty());
  set_leaders({BrokerId{1}});
  sender.on_metadata();
  ASSERT_EQ(sent.size(), 1u);
  answer(0, ErrorCode::kNone);
  EXPECT_EQ(finished.size(), 1u);
  sender.send(work("b", 6, {}));
  EXPECT_EQ(finished.size(), 2u) << "nothing to write";
}

TEST_F(MarkerSenderTest, AFencedMarkerIsNotRepeatedNorFinished) {
  sender.send(work("a", 5, {{"orders", 0}}));
  answer(0, ErrorCode::kTransactionCoordinatorFenced);
  strand.advance(10s);
  EXPECT_EQ(sent.size(), 1u);
  EXPECT_TRUE(finished.empty());
  EXPECT_EQ(sender.pending(), 1u);
  sender.forget(3);
  EXPECT_EQ(sender.pending(), 0u);
}

}  // namespace
}  // namespace broker::coordinator::transaction
