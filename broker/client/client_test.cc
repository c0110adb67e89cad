#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/client/connection.h"
#include "broker/client/reconnecting_client.h"
#include "broker/client/testing/fake_node.h"
#include "broker/client/testing/loop_test.h"
#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/describe_cluster_response.h"
#include "broker/protocol/messages/sasl_authenticate_request.h"
#include "broker/protocol/messages/sasl_authenticate_response.h"
#include "broker/protocol/messages/sasl_handshake_request.h"
#include "broker/protocol/messages/sasl_handshake_response.h"

namespace broker::client {
namespace {

using protocol::DescribeClusterRequest;
using protocol::DescribeClusterResponse;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

DescribeClusterResponse cluster(std::string id) {
  DescribeClusterResponse response;
  response.cluster_id = std::move(id);
  return response;
}

class ClientTest : public LoopTest {
 protected:
  ~ClientTest() override {
    on_loop([this] {
      client_.reset();
      connection_.reset();
      nodes_.clear();
    });
  }

  FakeNode& node(std::string cluster_id = "") {
    FakeNode* made = nullptr;
    on_loop([&] {
      made = nodes_.emplace_back(std::make_unique<FakeNode>(loop_, *transport_)).get();
      if (cluster_id.empty()) return;
      made->on<DescribeClusterRequest>(
          [cluster_id](const auto&, const auto& reply) { reply(cluster(cluster_id)); });
    });
    return *made;
  }

  /// `then` runs in the same turn: nothing has happened on the connection yet.
  void connect(const FakeNode& to, std::function<void(ConnectionOptions&)> adjust = {},
               std::function<void()> then = {}) {
    ConnectionOptions options;
    options.endpoint = to.endpoint();
    if (adjust) adjust(options);
    on_loop([&] {
      connection_ = std::make_unique<Connection>(loop_, *transport_, options);
      connection_->on_closed([this](const Error& error) { closed_ = error; });
      if (then) then();
    });
  }

  void reconnecting(std::vector<io::Endpoint> bootstrap) {
    on_loop([&] {
      client_ = std::make_unique<ReconnectingClient>(
          loop_, *transport_,
          ReconnectOptions{.bootstrap = std::move(bootstrap), .max_backoff = milliseconds(100)});
    });
  }

  /// The cluster id, or the error's name, goes to `answers_`.
  template <class Caller>
  void ask(Caller& caller, Duration timeout = seconds(10)) {
    caller->call(
        DescribeClusterRequest(),
        [this](Result<DescribeClusterResponse> response) {
          answers_.push_back(response.ok() ? response->cluster_id
                                           : std::string(error_name(response.code())));
          if (!response.ok()) detail_ = response.error().detail;
        },
        timeout);
  }

  bool answered(std::size_t n) {
    return eventually([this, n] { return answers_.size() >= n; });
  }
  /// A port where nobody listens.
  io::Endpoint nobody() {
    return on_loop([this] { return FakeNode(loop_, *transport_).endpoint(); });
  }

  std::vector<std::unique_ptr<FakeNode>> nodes_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<ReconnectingClient> client_;
  std::vector<std::string> answers_;
  std::string detail_;
  std::optional<Error> closed_;
};

TEST_F(ClientTest, CallsMadeBeforeItIsReadyAreSentInOrder) {
  FakeNode& peer = node("a");
  connect(peer, {}, [this] {
    ask(connection_);
    ask(connection_);
    EXPECT_FALSE(connection_->ready());
    EXPECT_TRUE(answers_.empty());
  });
  ASSERT_TRUE(answered(2));
  EXPECT_THAT(answers_, ElementsAre("a", "a"));
}

TEST_F(ClientTest, SpeaksTheHighestCommonVersion) {
  FakeNode& peer = node();
  on_loop([&] {
    peer.on<DescribeClusterRequest>([](const auto&, const auto& reply) { reply(cluster("a")); },
                                    {0, 1});
  });
  connect(peer);
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(peer.seen, ElementsAre(std::pair(protocol::ApiKey::kDescribeCluster, 1)));
}

TEST_F(ClientTest, AnApiThatTheNodeDoesNotHaveIsUnsupported) {
  connect(node());
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("UNSUPPORTED_VERSION"));
}

TEST_F(ClientTest, AnOldNodeIsAskedForItsVersionsAgain) {
  FakeNode& peer = node("old");
  on_loop([&] { peer.know_only_old_api_versions(); });
  connect(peer);
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("old"));
}

TEST_F(ClientTest, WhatWasSentMayHaveBeenCarriedOutAndWhatWaitedWasNot) {
  FakeNode& peer = node();
  on_loop([&] { peer.on<DescribeClusterRequest>([](const auto&, const auto&) {}); });
  connect(peer);
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(eventually([&] { return !peer.seen.empty(); }));
  on_loop([&] { peer.drop_connections(); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("NETWORK_EXCEPTION"));

  FakeNode& silent = node();
  on_loop([&] { silent.stay_silent(); });
  connect(silent);
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(eventually([&] { return silent.connections() == 1; }));
  on_loop([&] { silent.drop_connections(); });
  ASSERT_TRUE(answered(2));
  EXPECT_EQ(answers_[1], "BROKER_NOT_AVAILABLE");
}

TEST_F(ClientTest, ACallThatWaitsForTheConnectionEndsInTime) {
  FakeNode& silent = node();
  on_loop([&] { silent.stay_silent(); });
  connect(silent);
  on_loop([this] { ask(connection_, milliseconds(20)); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("BROKER_NOT_AVAILABLE"));
  EXPECT_FALSE(closed_);
}

TEST_F(ClientTest, AConnectionThatDoesNotComeAboutIsGivenUp) {
  FakeNode& silent = node();
  on_loop([&] { silent.stay_silent(); });
  connect(silent, [](ConnectionOptions& options) { options.connect_timeout = milliseconds(20); });
  ASSERT_TRUE(eventually([this] { return closed_.has_value(); }));
  EXPECT_EQ(closed_->code, ErrorCode::kRequestTimedOut);
}

TEST_F(ClientTest, ALateAnswerIsDroppedAndTheConnectionGoesOn) {
  FakeNode& peer = node();
  std::vector<FakeNode::Reply<DescribeClusterRequest>> replies;
  on_loop([&] {
    peer.on<DescribeClusterRequest>(
        [&](const auto&, auto reply) { replies.push_back(std::move(reply)); });
  });
  connect(peer);
  on_loop([this] { ask(connection_, milliseconds(50)); });
  ASSERT_TRUE(answered(1));
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(eventually([&] { return replies.size() == 2; }));
  on_loop([&] {
    replies[0](cluster("late"));
    replies[1](cluster("in time"));
  });
  ASSERT_TRUE(answered(2));
  EXPECT_THAT(answers_, ElementsAre("REQUEST_TIMED_OUT", "in time"));
}

TEST_F(ClientTest, AListenerOfAnotherProtocolIsNamedAsSuch) {
  FakeNode& peer = node();
  on_loop([&] { peer.send_garbage(); });
  connect(peer);
  ASSERT_TRUE(eventually([this] { return closed_.has_value(); }));
  EXPECT_THAT(closed_->detail, HasSubstr("not a Kafka listener?"));
}

TEST_F(ClientTest, ALargeAnswerArrivesWhole) {
  FakeNode& peer = node();
  on_loop([&] {
    peer.on<protocol::DeleteTopicsRequest>([](const auto&, const auto& reply) {
      protocol::DeleteTopicsResponse response;
      response.responses.resize(20'000);
      for (auto& topic : response.responses) topic.name = std::string(200, 't');
      reply(response);
    });
  });
  connect(peer);
  std::size_t topics = 0;
  on_loop([&] {
    for (int i = 0; i < 2; ++i) {
      connection_->call(protocol::DeleteTopicsRequest(),
                        [&](auto response) { topics += response->responses.size(); });
    }
  });
  EXPECT_TRUE(eventually([&] { return topics == 40'000; }));
}

/// Speaks PLAIN and lets `password` in.
void teach_plain(FakeNode& node, const std::string& password) {
  node.on<protocol::SaslHandshakeRequest>([](const auto& request, const auto& reply) {
    protocol::SaslHandshakeResponse response;
    response.mechanisms = {"PLAIN"};
    if (request.mechanism != "PLAIN") response.error_code = 33;
    reply(response);
  });
  node.on<protocol::SaslAuthenticateRequest>([password](const auto& request, const auto& reply) {
    protocol::SaslAuthenticateResponse response;
    if (!request.auth_bytes.view().ends_with(password)) {
      response.error_code = static_cast<std::int16_t>(ErrorCode::kSaslAuthenticationFailed);
      response.error_message = "Authentication failed: Invalid username or password";
    }
    reply(response);
  });
}

TEST_F(ClientTest, AuthenticatesBeforeTheFirstRequest) {
  FakeNode& peer = node("a");
  on_loop([&] { teach_plain(peer, "secret"); });
  connect(peer, [](ConnectionOptions& o) { o.sasl = {"PLAIN", "alice", "secret"}; });
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("a"));
  ASSERT_EQ(peer.seen.size(), 3u);
  EXPECT_EQ(peer.seen[0].first, protocol::ApiKey::kSaslHandshake);
}

TEST_F(ClientTest, LogsInAgainBeforeItsSessionEnds) {
  FakeNode& peer = node("a");
  on_loop([&] {
    teach_plain(peer, "secret");
    peer.on<protocol::SaslAuthenticateRequest>([](const auto&, const auto& reply) {
      protocol::SaslAuthenticateResponse response;
      response.session_lifetime_ms = 1;
      reply(response);
    });
  });
  connect(peer, [](ConnectionOptions& o) { o.sasl = {"PLAIN", "alice", "secret"}; });
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  // Both wait until the session is renewed, on the same connection.
  on_loop([this] {
    ask(connection_);
    ask(connection_);
    EXPECT_TRUE(connection_->ready());
  });
  ASSERT_TRUE(answered(3));
  on_loop([&] {
    EXPECT_EQ(peer.connections(), 1);
    std::vector<protocol::ApiKey> seen;
    for (const auto& [key, version] : peer.seen) seen.push_back(key);
    const auto asked = seen.back();
    using Key = protocol::ApiKey;
    EXPECT_THAT(seen, ElementsAre(Key::kSaslHandshake, Key::kSaslAuthenticate, asked,
                                  Key::kSaslHandshake, Key::kSaslAuthenticate, asked, asked));
  });
}

TEST_F(ClientTest, ASessionThatIsNotRenewedEndsTheConnection) {
  FakeNode& peer = node("a");
  on_loop([&] {
    teach_plain(peer, "secret");
    peer.on<protocol::SaslAuthenticateRequest>([times = 0](const auto&, const auto& reply) mutable {
      protocol::SaslAuthenticateResponse response;
      response.session_lifetime_ms = 1;
      if (++times > 1) response.error_code = 58;
      reply(response);
    });
  });
  connect(peer, [](ConnectionOptions& o) { o.sasl = {"PLAIN", "alice", "secret"}; });
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(2));
  EXPECT_THAT(answers_, ElementsAre("a", "SASL_AUTHENTICATION_FAILED"));
  EXPECT_TRUE(eventually([this] { return closed_.has_value(); }));
}

TEST_F(ClientTest, AWrongPasswordIsReportedInTheNodesWords) {
  FakeNode& peer = node("a");
  on_loop([&] { teach_plain(peer, "secret"); });
  connect(
      peer,
      [](ConnectionOptions& o) {
        o.sasl = {"PLAIN", "alice", "wrong"};
      },
      [this] { ask(connection_); });
  ASSERT_TRUE(answered(1));
  on_loop([this] { ask(connection_); });
  ASSERT_TRUE(answered(2));
  EXPECT_THAT(answers_, ElementsAre("SASL_AUTHENTICATION_FAILED", "SASL_AUTHENTICATION_FAILED"));
  EXPECT_THAT(detail_, HasSubstr("Invalid username or password"));
}

TEST_F(ClientTest, AMechanismThatTheNodeDoesNotOfferIsNamed) {
  FakeNode& peer = node("a");
  on_loop([&] { teach_plain(peer, "secret"); });
  connect(peer, [](ConnectionOptions& o) { o.sasl = {"SCRAM-SHA-512", "alice", "secret"}; });
  ASSERT_TRUE(eventually([this] { return closed_.has_value(); }));
  EXPECT_EQ(closed_->code, ErrorCode::kUnsupportedSaslMechanism);
  EXPECT_THAT(closed_->detail, HasSubstr("the node offers PLAIN"));
}

TEST_F(ClientTest, ADestroyedConnectionCallsNobodyBack) {
  FakeNode& peer = node("a");
  connect(peer, {}, [this] {
    ask(connection_);
    connection_->close("test");  // its callbacks are on their way now
    connection_.reset();
  });
  on_loop([] {});
  EXPECT_TRUE(answers_.empty());
  EXPECT_FALSE(closed_);
}

TEST_F(ClientTest, ACallWaitsForTheNodeThatIsUp) {
  std::vector<io::Endpoint> bootstrap(7, nobody());
  bootstrap.push_back(node("up").endpoint());
  reconnecting(bootstrap);
  on_loop([this] { ask(client_); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("up"));
}

TEST_F(ClientTest, WithoutANodeACallEndsInTimeAndSaysWhy) {
  reconnecting({nobody()});
  on_loop([this] { ask(client_, milliseconds(100)); });
  ASSERT_TRUE(answered(1));
  EXPECT_THAT(answers_, ElementsAre("BROKER_NOT_AVAILABLE"));
  EXPECT_THAT(detail_, HasSubstr("refused"));
}

TEST_F(ClientTest, AfterALossTheNextCallFindsAnotherConnection) {
  FakeNode& peer = node("a");
  reconnecting({peer.endpoint()});
  on_loop([this] { ask(client_); });
  ASSERT_TRUE(answered(1));
  on_loop([&] { peer.drop_connections(); });
  ASSERT_TRUE(eventually([this] { return !client_->connected(); }));
  on_loop([this] { ask(client_); });
  ASSERT_TRUE(answered(2));
  EXPECT_EQ(peer.connections(), 2);
}

TEST_F(ClientTest, MovingOnEndsTheCallsOnTheWire) {
  FakeNode& first = node();
  on_loop([&] { first.on<DescribeClusterRequest>([](const auto&, const auto&) {}); });
  FakeNode& second = node("second");
  reconnecting({first.endpoint()});
  on_loop([this] { ask(client_); });
  ASSERT_TRUE(eventually([&] { return !first.seen.empty(); }));
  on_loop([&] {
    client_->move_on(second.endpoint());
    ask(client_);
  });
  ASSERT_TRUE(answered(2));
  EXPECT_THAT(answers_, ElementsAre("NETWORK_EXCEPTION", "second"));
  EXPECT_EQ(client_->endpoint(), second.endpoint());
}

TEST_F(ClientTest, ADestroyedClientCallsNobodyBack) {
  FakeNode& peer = node("a");
  reconnecting({peer.endpoint()});
  on_loop([this] { ask(client_); });
  ASSERT_TRUE(answered(1));
  on_loop([this] {
    ask(client_);
    client_->move_on();
    client_.reset();
  });
  on_loop([] {});
  EXPECT_EQ(answers_.size(), 1u);
}

}  // namespace
}  // namespace broker::client
