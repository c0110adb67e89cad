#include "broker/quorum/client_peers.h"

#include <gtest/gtest.h>

#include "broker/client/testing/fake_node.h"
#include "broker/client/testing/loop_test.h"

namespace broker::quorum {
namespace {

using client::FakeNode;
using std::chrono::milliseconds;

class ClientPeersTest : public client::LoopTest {
 protected:
  ClientPeersTest() {
    on_loop([&] {
      node_ = std::make_unique<FakeNode>(loop_, *transport_);
      peers_ = std::make_unique<ClientPeers>(loop_, *transport_, ClientPeersOptions{});
    });
  }
  ~ClientPeersTest() override {
    on_loop([&] {
      peers_.reset();
      node_.reset();
    });
  }

  void send(PeerRequest request, milliseconds timeout = std::chrono::seconds(5)) {
    on_loop([&] {
      peers_->send(endpoint(), std::move(request), timeout,
                   [this](Result<PeerResponse> answer) { answers_.push_back(std::move(answer)); });
    });
  }
  io::Endpoint endpoint() { return node_ ? node_->endpoint() : last_endpoint_; }
  bool answered(std::size_t n) {
    return eventually([&] { return answers_.size() >= n; });
  }

  std::unique_ptr<FakeNode> node_;
  std::unique_ptr<ClientPeers> peers_;
  io::Endpoint last_endpoint_;
  std::vector<Result<PeerResponse>> answers_;
};

TEST_F(ClientPeersTest, OneConnectionCarriesAllRequestsInTheVersionsThePeerSpeaks) {
  on_loop([&] {
    node_->on<protocol::VoteRequest>(
        [](const auto& request, auto reply) {
          protocol::VoteResponse response;
          response.topics.push_back({request.topics[0].topic_name, {{}}});
          response.topics[0].partitions[0].vote_granted = true;
          reply(response);
        },
        {0, 1});
  });
  protocol::VoteRequest request;
  request.topics.push_back({"__cluster_metadata", {{}}});
  send(request);
  send(request);
  ASSERT_TRUE(answered(2));
  on_loop([&] {
    EXPECT_TRUE(
        std::get<protocol::VoteResponse>(*answers_[1]).topics[0].partitions[0].vote_granted);
    EXPECT_EQ(node_->seen.back().second, 1);
    EXPECT_EQ(node_->connections(), 1);
  });
  // A pre-vote cannot be said in version 1 (KIP-996): the core then stands without.
  request.topics[0].partitions[0].pre_vote = true;
  send(request);
  ASSERT_TRUE(answered(3));
  EXPECT_EQ(on_loop([&] { return answers_[2].code(); }), ErrorCode::kUnsupportedVersion);
}

TEST_F(ClientPeersTest, ALostConnectionIsToldAtOnceAndTheNextRequestMakesAnother) {
  on_loop([&] {
    node_->on<protocol::FetchRequest>([](const auto&, auto) {});  // parked for good
  });
  send(protocol::FetchRequest{});
  ASSERT_TRUE(eventually([&] { return !node_->seen.empty(); }));
  on_loop([&] { node_->drop_connections(); });
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(on_loop([&] { return answers_[0].code(); }), ErrorCode::kNetworkException);
  send(protocol::FetchRequest{});
  ASSERT_TRUE(eventually([&] { return node_->seen.size() == 2; }));
  on_loop([&] {
    EXPECT_EQ(node_->connections(), 2);
    last_endpoint_ = node_->endpoint();
    node_.reset();
  });
  ASSERT_TRUE(answered(2));
  send(protocol::FetchRequest{});
  ASSERT_TRUE(answered(3));
  EXPECT_EQ(on_loop([&] { return answers_[2].code(); }), ErrorCode::kBrokerNotAvailable);
}

TEST_F(ClientPeersTest, APeerThatDoesNotAnswerCostsItsConnection) {
  on_loop([&] { node_->on<protocol::FetchRequest>([](const auto&, auto) {}); });
  send(protocol::FetchRequest{}, milliseconds(30));
  send(protocol::FetchRequest{});
  ASSERT_TRUE(answered(2));
  on_loop([&] {
    EXPECT_EQ(answers_[0].code(), ErrorCode::kRequestTimedOut);
    EXPECT_EQ(answers_[1].code(), ErrorCode::kNetworkException);
  });
}

}  // namespace
}  // namespace broker::quorum
