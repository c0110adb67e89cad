#include "operator/kafka/connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/client/testing/fake_node.h"
#include "broker/client/testing/loop_test.h"
#include "broker/metadata/image.h"
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

TEST_F(ConnectorTest, DescribeModeIsRefused) {
  ConnectionSpec describe = spec();
  describe.mode = ConnectionSpec::Mode::kDescribe;
  const auto made = connector_->connect(describe, [](const Changes&) {});
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().detail, HasSubstr("not supported yet"));
}

}  // namespace
}  // namespace op::kafka
