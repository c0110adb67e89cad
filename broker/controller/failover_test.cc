// Controllers over a quorum that follows a script: what happens to decisions, answers and sessions
// when another node takes over.
#include <gtest/gtest.h>

#include "broker/controller/controller.h"
#include "broker/controller/test_quorum.h"

namespace broker::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Failover : ::testing::Test {
  Failover() : quorum(2) {
    quorum.elect(0);
    quorum.commit();
    for (int id = 0; id < 3; ++id) {
      quorum.ask(World::registration(id));
      EXPECT_FALSE(beat(id).is_fenced);
    }
    quorum.ask(topic_with("t", {{0, 1, 2}, {1, 2, 0}}));
  }
  protocol::BrokerHeartbeatResponse beat(int id) {
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = id;
    request.broker_epoch = quorum.image().cluster.broker(BrokerId{id})->epoch.value;
    request.current_metadata_offset = quorum.image().provenance.offset.value;
    return quorum.ask(request);
  }
  bool fenced(int id) { return quorum.image().cluster.broker(BrokerId{id})->fenced; }

  ScriptedQuorum quorum;
};

TEST_F(Failover, WhatWasNotCommittedIsForgottenAndItsAnswerIsNotController) {
  const auto lost = quorum.send(topic_with("lost", {{0}}));
  const auto behind =
      quorum.send(topic_with("lost", {{0}}));  // "exists already", if it were committed
  quorum.elect(1);
  quorum.commit();
  ASSERT_TRUE(lost->has_value() && behind->has_value());
  EXPECT_EQ((*lost)->code(), ErrorCode::kNotController);
  EXPECT_EQ((*behind)->code(), ErrorCode::kNotController);
  EXPECT_EQ(quorum.image().topics.find("lost"), nullptr);
  EXPECT_EQ(quorum.ask(topic_with("lost", {{1}})).topics[0].error_code, 0);
  EXPECT_TRUE(quorum.everybody_agrees());
}

TEST_F(Failover, TheOldLeaderFollowsAndDecidesOnTheNewHistoryWhenItLeadsAgain) {
  quorum.send(topic_with("lost", {{0, 1}}));
  quorum.elect(1);
  quorum.commit();
  quorum.ask(topic_with("kept", {{0, 2}}));
  quorum.elect(0);
  quorum.commit();
  for (int id = 1; id < 3; ++id) beat(id);
  // Fencing works from the index: it must know "kept", and nothing of "lost".
  quorum.leader().broker_connection_lost(BrokerId{0},
                                         quorum.image().cluster.broker(BrokerId{0})->epoch);
  quorum.advance(milliseconds(100));
  EXPECT_TRUE(fenced(0));
  EXPECT_EQ(quorum.image().topics.find("kept")->partitions.find(0)->leader, BrokerId{2});
  EXPECT_TRUE(quorum.everybody_agrees());
}

TEST_F(Failover, GivesEveryBrokerAFreshSession) {
  quorum.advance(seconds(8));
  quorum.elect(1);
  quorum.commit();
  beat(0);
  quorum.advance(seconds(8));
  EXPECT_FALSE(fenced(1));
  quorum.advance(seconds(2));
  EXPECT_TRUE(fenced(1));
  EXPECT_TRUE(fenced(2));
}

TEST_F(Failover, TheDeposedLeadersBrokerIsFencedAtOnceUnlessItIsHeardFrom) {
  quorum.elect(1);
  quorum.commit();
  for (int id = 1; id < 3; ++id) beat(id);
  quorum.advance(milliseconds(200));
  EXPECT_TRUE(fenced(0));
  EXPECT_EQ(quorum.image().topics.find("t")->partitions.find(0)->leader, BrokerId{1});
  EXPECT_FALSE(beat(0).is_fenced);
  quorum.elect(0);  // node 1 led last
  quorum.commit();
  beat(1);
  quorum.advance(seconds(5));
  EXPECT_FALSE(fenced(1));
}

TEST_F(Failover, WhatTheNewLeaderNoticedBeforeCounts) {
  quorum.controller(1).broker_connection_lost(BrokerId{2},
                                              quorum.image().cluster.broker(BrokerId{2})->epoch);
  quorum.elect(1);
  quorum.commit();
  for (int id = 0; id < 2; ++id) beat(id);
  quorum.advance(milliseconds(100));
  EXPECT_TRUE(fenced(2));
  EXPECT_FALSE(fenced(0));
}

TEST_F(Failover, WhatTheLogRefusesIsNotTriedWithoutAPause) {
  const BrokerEpoch epoch = quorum.image().cluster.broker(BrokerId{2})->epoch;
  quorum.log().refuses = true;  // it knows of another leader already
  quorum.log().asked = 0;
  quorum.leader().broker_connection_lost(BrokerId{2}, epoch);
  for (int i = 0; i < 10; ++i) quorum.advance(milliseconds(20));
  EXPECT_GE(quorum.log().asked, 2);
  EXPECT_LE(quorum.log().asked, 10);
  quorum.log().refuses = false;  // it leads after all
  quorum.advance(milliseconds(20));
  EXPECT_TRUE(fenced(2));
}

TEST_F(Failover, ARequestToANodeThatDoesNotLeadIsRefused) {
  const auto refused = quorum.send(topic_with("x", {{0}}), 1);
  EXPECT_EQ((*refused)->code(), ErrorCode::kNotController);
}

TEST_F(Failover, AnObserverBuildsTheSameImages) {
  EXPECT_TRUE(quorum.everybody_agrees());  // the last member may not be active
  EXPECT_FALSE(quorum.controller(2).is_active());
  EXPECT_GT(quorum.listener(2).updates, 0u);
  EXPECT_EQ(quorum.listener(2).leader, BrokerId{0});
}

TEST_F(Failover, LeadersGoBackToPreferredReplicasWithTheNextCheck) {
  quorum.leader().broker_connection_lost(BrokerId{0},
                                         quorum.image().cluster.broker(BrokerId{0})->epoch);
  quorum.advance(milliseconds(100));
  beat(0);
  for (int i = 0; i < 3; ++i) beat(i);
  const auto* topic = quorum.image().topics.find("t");
  const auto& p = *topic->partitions.find(0);
  ASSERT_EQ(p.leader, BrokerId{1});
  protocol::AlterPartitionRequest request;
  request.broker_id = 1;
  request.broker_epoch = quorum.image().cluster.broker(BrokerId{1})->epoch.value;
  protocol::AlterPartitionRequest::PartitionData data;
  data.leader_epoch = p.leader_epoch.value;
  data.partition_epoch = p.partition_epoch.value;
  for (const int id : {1, 2, 0}) data.new_isr_with_epochs.push_back({id, -1});
  request.topics.push_back({topic->id, {data}});
  quorum.ask(request);
  for (int i = 0; i < 50; ++i) {
    quorum.advance(seconds(6));
    for (int id = 0; id < 3; ++id) beat(id);
  }
  EXPECT_EQ(quorum.image().topics.find("t")->partitions.find(0)->leader, BrokerId{0});
}

TEST_F(Failover, AnIdleControllerWritesNothingUnlessAskedTo) {
  const auto before = quorum.log_end();
  for (int i = 0; i < 100; ++i) {
    quorum.advance(seconds(6));
    for (int id = 0; id < 3; ++id) beat(id);
  }
  EXPECT_EQ(quorum.log_end(), before);

  ScriptedQuorum talkative(1, 500);
  talkative.elect(0);
  talkative.commit();
  const auto start = talkative.log_end();
  for (int i = 0; i < 4; ++i) talkative.advance(milliseconds(500));
  EXPECT_EQ(talkative.log_end() - start, 4);
}

}  // namespace
}  // namespace broker::controller
