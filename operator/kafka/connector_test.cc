#include "operator/kafka/connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/client/testing/fake_node.h"
#include "broker/client/testing/loop_test.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/add_raft_voter_request.h"
#include "broker/protocol/messages/add_raft_voter_response.h"
#include "broker/protocol/messages/describe_acls_request.h"
#include "broker/protocol/messages/describe_acls_response.h"
#include "broker/protocol/messages/describe_client_quotas_request.h"
#include "broker/protocol/messages/describe_client_quotas_response.h"
#include "broker/protocol/messages/describe_configs_request.h"
#include "broker/protocol/messages/describe_configs_response.h"
#include "broker/protocol/messages/describe_log_dirs_request.h"
#include "broker/protocol/messages/describe_log_dirs_response.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/describe_user_scram_credentials_request.h"
#include "broker/protocol/messages/describe_user_scram_credentials_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"
#include "operator/kafka/admin_requests.h"
#include "operator/kafka/testing/fake_controller.h"
#include "operator/kafka/testing/metadata_batches.h"

namespace op::kafka {
namespace {

using broker::ErrorCode;
using broker::client::FakeNode;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

class ConnectorTest : public broker::client::LoopTest {
 protected:
  ConnectorTest() {
    on_loop([this] {
      controller_ = std::make_unique<FakeController>(loop_, *transport_);
      node_ = std::make_unique<FakeNode>(loop_, *transport_);
    });
  }
  ~ConnectorTest() override {
    connection_.reset();
    on_loop([this] {
      controller_.reset();
      other_.reset();
      node_.reset();
    });
  }

  ConnectionSpec spec() {
    ConnectionSpec spec;
    spec.controllers = {controller_->endpoint()};
    spec.brokers = {node_->endpoint()};
    spec.tls = false;
    return spec;
  }

  void connect(const ConnectionSpec& spec) {
    auto made =
        connector_->connect(spec, [this](const Changes& changes) { changes_.push_back(changes); });
    ASSERT_TRUE(made.ok()) << made.error().detail;
    connection_ = std::move(*made);
  }
  bool synced() {
    return eventually([this] { return connection_->view().synced(); });
  }
  bool has_topic(const std::string& name) {
    const auto image = connection_->view().image();
    return image != nullptr && image->topics.find(name) != nullptr;
  }
  /// The results of one admin call.
  template <class F>
  ItemResults admin(F&& call) {
    std::promise<ItemResults> results;
    call(connection_->admin(), [&](ItemResults r) { results.set_value(std::move(r)); });
    return results.get_future().get();
  }
  void grow(FakeController& controller, const broker::metadata::MetadataRecords& records) {
    on_loop([&] { controller.append(records); });
  }

  std::unique_ptr<Connector> connector_ = make_connector(loop_, *transport_);
  std::unique_ptr<FakeController> controller_;
  std::unique_ptr<FakeController> other_;
  std::unique_ptr<FakeNode> node_;
  std::unique_ptr<ClusterConnection> connection_;
  std::vector<Changes> changes_;  // on the loop
};

TEST_F(ConnectorTest, ReadsTheLogAndThenTellsEveryChange) {
  grow(*controller_, {topic("a", 1)});
  connect(spec());
  ASSERT_TRUE(synced());
  EXPECT_TRUE(has_topic("a"));
  EXPECT_EQ(connection_->view().cluster_id(), "cluster-1");
  EXPECT_EQ(connection_->view().problem(), "");

  on_loop([this] {
    EXPECT_TRUE(changes_.front().everything);
    changes_.clear();
  });
  grow(*controller_, {topic("b", 2)});
  ASSERT_TRUE(eventually([this] { return !changes_.empty(); }));
  on_loop([this] {
    EXPECT_TRUE(has_topic("b"));
    EXPECT_THAT(changes_, ElementsAre(Field(&Changes::topics, ElementsAre("b"))));
  });
}

TEST_F(ConnectorTest, FindsTheLeaderByTheAnswersOfTheOthers) {
  on_loop([this] { other_ = std::make_unique<FakeController>(loop_, *transport_); });
  on_loop([this] {
    controller_->epoch = other_->epoch = 9;
    controller_->leader = other_->endpoint();
  });
  grow(*other_, {topic("a", 1)});
  connect(spec());  // knows only the follower
  ASSERT_TRUE(synced());
  EXPECT_TRUE(has_topic("a"));
}

TEST_F(ConnectorTest, AfterALossItGoesOnWhereItStopped) {
  grow(*controller_, {topic("a", 1)});
  connect(spec());
  ASSERT_TRUE(synced());
  on_loop([this] {
    changes_.clear();
    controller_->fetched_from.clear();
    controller_->drop_connections();
  });
  ASSERT_TRUE(eventually([this] { return !connection_->view().synced(); }));
  EXPECT_NE(connection_->view().problem(), "");
  EXPECT_TRUE(has_topic("a"));  // the last image stays
  grow(*controller_, {topic("b", 2)});
  ASSERT_TRUE(synced());
  on_loop([this] {
    EXPECT_TRUE(has_topic("b"));
    EXPECT_THAT(changes_, testing::Each(Field(&Changes::everything, false)));
    EXPECT_THAT(changes_, Contains(Field(&Changes::state, true)));
    EXPECT_THAT(changes_, Contains(Field(&Changes::topics, ElementsAre("b"))));
    EXPECT_THAT(controller_->fetched_from, testing::Each(testing::Ge(1)));
  });
}

TEST_F(ConnectorTest, StartsFromASnapshotWhenTheLogBeginsLater) {
  on_loop([this] {
    controller_->snapshot_id = {10, 3};
    controller_->snapshot = snapshot({topic("old", 1)}, 3);
    controller_->snapshot_slice = 50;
    controller_->start_at(10);
    controller_->append({topic("new", 2)});
  });
  connect(spec());
  ASSERT_TRUE(synced());
  EXPECT_TRUE(has_topic("old"));
  EXPECT_TRUE(has_topic("new"));
}

TEST_F(ConnectorTest, WhatIsNotCommittedIsNotShown) {
  grow(*controller_, {topic("a", 1)});
  on_loop([this] { controller_->commits = false; });
  grow(*controller_, {topic("b", 2)});
  connect(spec());
  ASSERT_TRUE(synced());
  EXPECT_TRUE(has_topic("a"));
  EXPECT_FALSE(has_topic("b"));
  on_loop([this] {
    controller_->commits = true;
    controller_->commit();
  });
  EXPECT_TRUE(eventually([this] { return has_topic("b"); }));
}

TEST_F(ConnectorTest, AnotherClusterAtTheSamePlaceIsReadFromTheBeginning) {
  grow(*controller_, {topic("a", 1), topic("b", 2)});
  connect(spec());
  ASSERT_TRUE(synced());
  on_loop([this] {
    changes_.clear();
    controller_->cluster_id = "cluster-2";
    controller_->forget();
    controller_->append({topic("c", 3)});
    controller_->drop_connections();
  });
  ASSERT_TRUE(eventually([this] { return has_topic("c"); }));
  EXPECT_FALSE(has_topic("a"));
  EXPECT_EQ(connection_->view().cluster_id(), "cluster-2");
  on_loop([this] { EXPECT_THAT(changes_, Contains(Field(&Changes::everything, true))); });
}

TEST_F(ConnectorTest, ARefusalIsShownAsAProblem) {
  on_loop([this] { controller_->refuse_with = ErrorCode::kClusterAuthorizationFailed; });
  connect(spec());
  ASSERT_TRUE(eventually([this] {
    return connection_->view().problem().find("CLUSTER_ACTION") != std::string::npos;
  }));
  EXPECT_EQ(connection_->view().image(), nullptr);
}

TEST_F(ConnectorTest, ManyItemsAreSplitAndAnsweredInOrder) {
  std::vector<std::size_t> sizes;
  on_loop([&] {
    node_->on<broker::protocol::CreateTopicsRequest>([&](const auto& request, const auto& reply) {
      sizes.push_back(request.topics.size());
      broker::protocol::CreateTopicsResponse response;
      for (auto it = request.topics.rbegin(); it != request.topics.rend(); ++it) {
        auto& result = response.topics.emplace_back();
        result.name = it->name;
        if (it->name != "t7") continue;
        result.error_code = static_cast<std::int16_t>(ErrorCode::kTopicAlreadyExists);
        result.error_message = "Topic 't7' already exists.";
      }
      reply(response);
    });
  });
  connect(spec());
  std::vector<NewTopic> topics;
  for (int i = 0; i < 1'200; ++i) topics.push_back({.name = "t" + std::to_string(i)});
  const auto results = admin([&](auto& a, auto done) { a.create_topics(topics, done); });
  ASSERT_EQ(results.size(), 1'200u);
  EXPECT_EQ(results[7].code, ErrorCode::kTopicAlreadyExists);
  EXPECT_EQ(results[7].message, "Topic 't7' already exists.");
  EXPECT_EQ(results[8].code, ErrorCode::kNone);
  EXPECT_THAT(sizes, ElementsAre(1'000, 200));
}

TEST_F(ConnectorTest, WhatTheControllerDidNotTakeIsTriedAgain) {
  int requests = 0;
  on_loop([&] {
    node_->on<broker::protocol::DeleteTopicsRequest>([&](const auto& request, const auto& reply) {
      broker::protocol::DeleteTopicsResponse response;
      const auto code = ++requests < 3 ? ErrorCode::kNotController : ErrorCode::kNone;
      for (const auto& topic : request.topics) {
        response.responses.push_back({topic.name, {}, static_cast<std::int16_t>(code), {}});
      }
      reply(response);
    });
  });
  connect(spec());
  const auto results = admin([](auto& a, auto done) { a.delete_topics({"x"}, done); });
  EXPECT_THAT(results, ElementsAre(Field(&ItemResult::code, ErrorCode::kNone)));
  EXPECT_EQ(requests, 3);
}

TEST_F(ConnectorTest, ALostAnswerLeavesEveryItemOpenAndIsNotSentAgain) {
  int requests = 0;
  on_loop([&] {
    node_->on<broker::protocol::CreateAclsRequest>([&](const auto&, const auto&) {
      ++requests;
      loop_.post([this] { node_->drop_connections(); });
    });
  });
  connect(spec());
  const auto results = admin([](auto& a, auto done) { a.create_acls({{}, {}}, done); });
  EXPECT_THAT(results, ElementsAre(Field(&ItemResult::code, ErrorCode::kNetworkException),
                                   Field(&ItemResult::code, ErrorCode::kNetworkException)));
  EXPECT_EQ(requests, 1);
}

TEST_F(ConnectorTest, AUserIsAlteredOncePerRequest) {
  std::vector<std::size_t> sizes;
  on_loop([&] {
    node_->on<broker::protocol::AlterUserScramCredentialsRequest>(
        [&](const auto& request, const auto& reply) {
          broker::protocol::AlterUserScramCredentialsResponse response;
          for (const auto& u : request.upsertions) response.results.push_back({u.name, 0, {}});
          for (const auto& d : request.deletions) response.results.push_back({d.name, 91, "none"});
          sizes.push_back(response.results.size());
          reply(response);
        });
  });
  connect(spec());
  using broker::security::ScramMechanism;
  const auto results = admin([](auto& a, auto done) {
    a.alter_scram_credentials({{.username = "alice", .mechanism = ScramMechanism::kSha256},
                               {.username = "alice", .remove = true},
                               {.username = "bob"}},
                              done);
  });
  EXPECT_THAT(sizes, ElementsAre(2, 1));
  EXPECT_THAT(results, ElementsAre(Field(&ItemResult::code, ErrorCode::kNone),
                                   Field(&ItemResult::message, "none"),
                                   Field(&ItemResult::code, ErrorCode::kNone)));
}

TEST_F(ConnectorTest, ADestroyedConnectionCallsNobodyBack) {
  FakeNode::Reply<broker::protocol::DeleteTopicsRequest> reply;
  on_loop([&] {
    node_->on<broker::protocol::DeleteTopicsRequest>(
        [&](const auto&, auto r) { reply = std::move(r); });
  });
  connect(spec());
  bool called = false;
  connection_->admin().delete_topics({"x"}, [&](const ItemResults&) { called = true; });
  ASSERT_TRUE(eventually([&] { return reply != nullptr; }));
  on_loop([&] { reply({}); });
  connection_.reset();
  const auto told = on_loop([this] { return changes_.size(); });
  grow(*controller_, {topic("a", 1)});
  on_loop([] {});
  EXPECT_EQ(on_loop([this] { return changes_.size(); }), told);
  static_cast<void>(called);  // either way, but never after the reset
}

TEST_F(ConnectorTest, UnusableTlsMaterialIsRefusedInTheReadersTerms) {
  ConnectionSpec with_tls = spec();
  with_tls.tls = true;
  with_tls.ca_pem = "no certificate";
  const auto made = connector_->connect(with_tls, [](const Changes&) {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.code(), ErrorCode::kInvalidConfig);
  EXPECT_THAT(made.error().detail, HasSubstr("(CA certificates)"));
}

// --- the quorum ---

using broker::protocol::AddRaftVoterRequest;
using broker::protocol::DescribeQuorumRequest;

TEST_F(ConnectorTest, TheQuorumIsDescribedByItsLeaderAndVotersAreChangedThere) {
  on_loop([this] { other_ = std::make_unique<FakeController>(loop_, *transport_); });
  std::vector<AddRaftVoterRequest> added;
  on_loop([&] {
    controller_->epoch = other_->epoch = 9;
    controller_->leader = other_->endpoint();
    other_->on<DescribeQuorumRequest>([](const auto&, const auto& reply) {
      broker::protocol::DescribeQuorumResponse response;
      auto& partition = response.topics.emplace_back().partitions.emplace_back();
      partition.leader_id = 2;
      partition.leader_epoch = 9;
      partition.high_watermark = 100;
      partition.current_voters = {{1, broker::Uuid{1, 1}, 90, 5'000, 4'000},
                                  {2, broker::Uuid{1, 2}, 100, 20'000, 20'000}};
      partition.observers = {{1, broker::Uuid{5, 5}, 99, 19'900, 19'900}};
      reply(response);
    });
    other_->on<AddRaftVoterRequest>([&](const AddRaftVoterRequest& request, const auto& reply) {
      added.push_back(request);
      reply({});
    });
    controller_->on<AddRaftVoterRequest>([](const auto&, const auto& reply) {
      broker::protocol::AddRaftVoterResponse response;
      response.error_code = static_cast<std::int16_t>(ErrorCode::kNotLeaderOrFollower);
      reply(response);
    });
  });
  grow(*other_, {topic("a", 1)});
  ConnectionSpec both = spec();
  both.controllers.push_back(other_->endpoint());
  connect(both);
  ASSERT_TRUE(eventually([this] { return connection_->view().quorum() != nullptr; }));
  const auto quorum = connection_->view().quorum();
  EXPECT_EQ(quorum->leader_id, 2);
  EXPECT_FALSE(quorum->voters[0].caught_up);  // 16 s ago
  EXPECT_TRUE(quorum->voters[1].caught_up);
  EXPECT_TRUE(quorum->observers[0].caught_up);
  EXPECT_EQ(quorum->observers[0].directory_id, (broker::Uuid{5, 5}));

  const auto results = admin([](AdminClient& client, AdminClient::Done done) {
    client.change_voter({false, 1, broker::Uuid{5, 5}, {"n1", 9090}}, std::move(done));
  });
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].code, ErrorCode::kNone);
  on_loop([&] {
    ASSERT_EQ(added.size(), 1u);
    EXPECT_EQ(added[0].cluster_id, "cluster-1");
    EXPECT_EQ(added[0].listeners.at(0).host, "n1");
  });
}

// --- without the metadata log ---

TEST_F(ConnectorTest, EveryBrokerIsAskedForTheSizesOfItsOwnLogs) {
  using broker::protocol::DescribeLogDirsRequest;
  std::unique_ptr<FakeNode> second;
  const auto answer = [](FakeNode& node, std::int64_t bytes) {
    node.on<DescribeLogDirsRequest>([bytes](const auto& request, const auto& reply) {
      EXPECT_FALSE(request.topics.has_value());
      DescribeLogDirsRequest::Response response;
      auto& topic = response.results.emplace_back().topics.emplace_back();
      topic.name = "a";
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = 7;
      partition.partition_size = bytes;
      reply(response);
    });
  };
  on_loop([&] {
    second = std::make_unique<FakeNode>(loop_, *transport_);
    answer(*node_, 100);
    answer(*second, 90);
  });
  ConnectionSpec both = spec();
  both.brokers.push_back(second->endpoint());
  both.broker_ids = {3, 5};
  connect(both);
  const auto ask = [&] {
    std::promise<broker::Result<LogSizes>> told;
    connection_->describe_log_dirs([&](auto sizes) { told.set_value(std::move(sizes)); });
    return told.get_future().get();
  };
  for (int round = 0; round < 2; ++round) {
    const auto sizes = ask();
    ASSERT_TRUE(sizes.ok()) << sizes.error().detail;
    std::map<std::int32_t, std::int64_t> bytes;
    for (const LogSizes::Replica& replica : sizes->topics.at("a")) {
      EXPECT_EQ(replica.partition, 7);
      bytes[replica.broker] = replica.bytes;
    }
    EXPECT_EQ(bytes, (std::map<std::int32_t, std::int64_t>{{3, 100}, {5, 90}}));
  }
  on_loop([&] {
    second->on<DescribeLogDirsRequest>([](const auto&, const auto& reply) {
      DescribeLogDirsRequest::Response response;
      response.error_code = static_cast<std::int16_t>(ErrorCode::kClusterAuthorizationFailed);
      reply(response);
    });
  });
  EXPECT_THAT(ask().error().detail, HasSubstr("broker 5 does not tell the sizes of its logs"));
  on_loop([&] { second.reset(); });
}

TEST_F(ConnectorTest, AForeignClusterIsDescribedInsteadAndLookedAtAfterEachChange) {
  std::vector<std::string> topics{"a"};
  std::string retention = "1000";
  on_loop([&] {
    node_->on<broker::protocol::MetadataRequest>([&](const auto& request, const auto& reply) {
      EXPECT_FALSE(request.topics.has_value());
      broker::protocol::MetadataResponse response;
      response.cluster_id = "foreign";
      response.brokers = {{7, "n", 9092, "z1"}};
      for (const std::string& name : topics) {
        auto& topic = response.topics.emplace_back();
        topic.name = name;
        topic.topic_id = broker::Uuid{3, name.size()};
        topic.partitions.push_back({0, 0, 7, 1, {7}, {7}, {}});
      }
      reply(response);
    });
    node_->on<broker::protocol::DescribeConfigsRequest>(
        [&](const auto& request, const auto& reply) {
          broker::protocol::DescribeConfigsResponse response;
          for (const auto& resource : request.resources) {
            auto& result = response.results.emplace_back();
            result.resource_type = resource.resource_type;
            result.resource_name = resource.resource_name;
            result.configs.resize(2);
            result.configs[0].name = "retention.ms";
            result.configs[0].value = retention;
            result.configs[0].config_source = 1;
            result.configs[1].name = "segment.ms";
            result.configs[1].value = "7";
            result.configs[1].config_source = 5;  // the default
          }
          reply(response);
        });
    node_->on<broker::protocol::DescribeAclsRequest>([](const auto&, const auto& reply) {
      broker::protocol::DescribeAclsResponse response;
      auto& resource = response.resources.emplace_back();
      resource.resource_type = 2;
      resource.resource_name = "a";
      resource.acls.push_back({"User:x", "*", 3, 3});
      reply(response);
    });
    node_->on<broker::protocol::DescribeUserScramCredentialsRequest>(
        [](const auto&, const auto& reply) {
          broker::protocol::DescribeUserScramCredentialsResponse response;
          auto& result = response.results.emplace_back();
          result.user = "x";
          result.credential_infos.push_back({2, 4096});
          reply(response);
        });
    node_->on<broker::protocol::DescribeClientQuotasRequest>([](const auto&, const auto& reply) {
      broker::protocol::DescribeClientQuotasResponse response;
      auto& entry = response.entries.emplace().emplace_back();
      entry.entity.push_back({"user", "x"});
      entry.values.push_back({"producer_byte_rate", 5});
      reply(response);
    });
    node_->on<broker::protocol::CreateTopicsRequest>([&](const auto& request, const auto& reply) {
      broker::protocol::CreateTopicsResponse response;
      for (const auto& topic : request.topics) {
        topics.push_back(topic.name);
        response.topics.emplace_back().name = topic.name;
      }
      reply(response);
    });
  });
  ConnectionSpec describe = spec();
  describe.mode = ConnectionSpec::Mode::kDescribe;
  describe.controllers.clear();
  connect(describe);
  ASSERT_TRUE(synced());
  EXPECT_EQ(connection_->view().cluster_id(), "foreign");
  const auto image = connection_->view().image();
  EXPECT_EQ(image->configs.of({broker::metadata::ConfigResourceType::kTopic, "a"}),
            (broker::config::ConfigMap{{"retention.ms", "1000"}}));
  EXPECT_EQ(image->acls.by_id.size(), 1u);
  EXPECT_TRUE(image->cluster.is_alive(broker::BrokerId{7}));
  const auto* quotas =
      image->client_quotas.by_entity.find(broker::metadata::QuotaEntity{{"user", "x"}});
  ASSERT_NE(quotas, nullptr);
  EXPECT_EQ(quotas->at("producer_byte_rate"), 5);
  const auto* credential = image->scram.find("x", broker::security::ScramMechanism::kSha512);
  ASSERT_NE(credential, nullptr);
  EXPECT_TRUE(credential->stored_key.empty());  // nobody tells it

  const auto results = admin([](AdminClient& client, AdminClient::Done done) {
    client.create_topics({{"bb", 1, 1, {}}}, std::move(done));
  });
  EXPECT_EQ(results.at(0).code, ErrorCode::kNone);
  ASSERT_TRUE(eventually([this] { return has_topic("bb"); }));  // long before the next round is due
  on_loop([this] { EXPECT_THAT(changes_, Contains(Field(&Changes::topics, ElementsAre("bb")))); });
}

}  // namespace
}  // namespace op::kafka
