#include <gtest/gtest.h>

#include "broker/client/testing/fake_node.h"
#include "broker/client/testing/loop_test.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/list_groups_request.h"
#include "broker/protocol/messages/list_groups_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"
#include "operator/kafka/offsets_watch.h"

namespace op::kafka {
namespace {

using broker::BrokerId;
using broker::TopicPartition;
using broker::client::FakeNode;
using broker::protocol::ListGroupsRequest;
using broker::protocol::ListGroupsResponse;
using broker::protocol::ListOffsetsRequest;
using broker::protocol::ListOffsetsResponse;
using broker::protocol::MetadataRequest;
using broker::protocol::MetadataResponse;
using broker::protocol::OffsetFetchRequest;
using broker::protocol::OffsetFetchResponse;

/// Two brokers: 1 coordinates the group "g" and leads a-0, 2 leads a-1.
class OffsetsTest : public broker::client::LoopTest {
 protected:
  static constexpr broker::protocol::VersionRange kByName{8, 9};

  OffsetsTest() {
    auto image = std::make_shared<broker::metadata::MetadataImage>();
    broker::metadata::TopicImage topic;
    topic.name = "a";
    topic.id = broker::Uuid{1, 1};
    for (const int id : {1, 2}) {
      broker::metadata::PartitionRegistration partition;
      partition.leader = BrokerId{id};
      topic.partitions.set(id - 1, partition);
    }
    image->topics.by_id.set(topic.id, topic);
    image_ = image;
    on_loop([this] {
      for (auto& node : nodes_) node = std::make_unique<FakeNode>(loop_, *transport_);
      for (int i = 0; i < 2; ++i) teach(i);
    });
  }
  ~OffsetsTest() override {
    on_loop([this] {
      watch_.reset();
      for (auto& node : nodes_) node.reset();
    });
  }

  void teach(int index) {
    FakeNode& node = *nodes_[index];
    node.on<MetadataRequest>([this](const auto& request, const auto& reply) {
      EXPECT_TRUE(request.topics.has_value() && request.topics->empty());
      MetadataResponse response;
      for (int i = 0; i < 2; ++i) {
        auto& broker = response.brokers.emplace_back();
        broker.node_id = i + 1;
        broker.host = nodes_[i]->endpoint().host;
        broker.port = nodes_[i]->endpoint().port;
      }
      reply(response);
    });
    node.on<ListGroupsRequest>([index](const auto&, const auto& reply) {
      ListGroupsResponse response;
      if (index == 0) response.groups.emplace_back().group_id = "g";
      reply(response);
    });
    node.on<OffsetFetchRequest>(
        [this](const OffsetFetchRequest& request, const auto& reply) {
          ++fetches_;
          OffsetFetchResponse response;
          for (const auto& asked : request.groups) {
            auto& group = response.groups.emplace_back();
            group.group_id = asked.group_id;
            auto& topic = group.topics.emplace_back();
            topic.name = "a";
            for (int p = 0; p < 2; ++p) {
              auto& partition = topic.partitions.emplace_back();
              partition.partition_index = p;
              partition.committed_offset = p == 0 ? 40 : 7;
            }
          }
          reply(response);
        },
        kByName);
    node.on<ListOffsetsRequest>(
        [this, index](const ListOffsetsRequest& request, const auto& reply) {
          if (index == 1 && second_is_silent_) return;
          EXPECT_EQ(request.replica_id, -1);
          ListOffsetsResponse response;
          for (const auto& asked : request.topics) {
            auto& topic = response.topics.emplace_back();
            topic.name = asked.name;
            for (const auto& one : asked.partitions) {
              EXPECT_EQ(one.partition_index, index);  // only what it leads
              auto& partition = topic.partitions.emplace_back();
              partition.partition_index = one.partition_index;
              partition.offset = one.timestamp == -1 ? (index == 0 ? 100 : 5) : 3;
            }
          }
          reply(response);
        });
  }

  void follow(OffsetsOptions options) {
    on_loop([&] {
      broker::client::ReconnectOptions brokers;
      brokers.bootstrap = {nodes_[0]->endpoint()};
      watch_ = std::make_unique<OffsetsWatch>(
          loop_, *transport_, brokers, options, [this] { return image_; },
          [this](std::shared_ptr<const OffsetsSnapshot> snapshot) {
            ++rounds_;
            snapshot_ = std::move(snapshot);
          });
      watch_->follow();
    });
  }
  bool has_round(int count) {
    return eventually([&] { return rounds_ >= count; });
  }

  std::unique_ptr<FakeNode> nodes_[2];
  broker::metadata::ImagePtr image_;
  std::unique_ptr<OffsetsWatch> watch_;
  std::shared_ptr<const OffsetsSnapshot> snapshot_;
  int rounds_ = 0;
  int fetches_ = 0;
  bool second_is_silent_ = false;
};

TEST_F(OffsetsTest, JoinsWhatOneBrokerKnowsOfAGroupWithTheLogsOfOthers) {
  follow({.interval = std::chrono::minutes(1)});
  ASSERT_TRUE(has_round(1));
  on_loop([this] {
    EXPECT_EQ(snapshot_->problem, "");
    ASSERT_EQ(snapshot_->committed.size(), 2u);
    EXPECT_EQ(snapshot_->lag_of(snapshot_->committed[0]), 60);
    EXPECT_EQ(snapshot_->lag_of(snapshot_->committed[1]), 0);  // ahead of a log that was cut
    EXPECT_EQ(snapshot_->logs.at({"a", 1}).start, 3);
    EXPECT_EQ(fetches_, 1);  // the one that has groups
  });
}

TEST_F(OffsetsTest, WhatABrokerDoesNotTellIsLeftOutAndSaid) {
  on_loop([this] { second_is_silent_ = true; });
  follow({.interval = std::chrono::minutes(1), .call_timeout = std::chrono::milliseconds(100)});
  ASSERT_TRUE(has_round(1));
  on_loop([this] {
    EXPECT_NE(snapshot_->problem.find("broker 2"), std::string::npos) << snapshot_->problem;
    EXPECT_EQ(snapshot_->lag_of(snapshot_->committed[0]), 60);
    EXPECT_EQ(snapshot_->lag_of(snapshot_->committed[1]), -1);
  });
}

TEST_F(OffsetsTest, AsksOnlyWhileSomebodyFollows) {
  follow({.interval = std::chrono::milliseconds(1), .patience = std::chrono::milliseconds(50)});
  ASSERT_TRUE(has_round(2));
  ASSERT_TRUE(eventually([&] { return snapshot_ == nullptr; }));
  const int rounds = on_loop([this] {
    watch_->follow();
    return rounds_;
  });
  EXPECT_TRUE(has_round(rounds + 1));
}

TEST_F(OffsetsTest, ALargeClusterIsAskedForWhatGroupsReadOnly) {
  follow({.interval = std::chrono::minutes(1), .max_partitions = 1});
  ASSERT_TRUE(has_round(1));
  on_loop([this] {
    EXPECT_TRUE(snapshot_->logs_left_out);
    EXPECT_EQ(snapshot_->logs.size(), 2u);
    EXPECT_EQ(snapshot_->lag_of(snapshot_->committed[0]), 60);
  });
}

}  // namespace
}  // namespace op::kafka
