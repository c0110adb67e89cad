#include <gtest/gtest.h>

#include "broker/metadata/snapshot.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/quorum/cluster_for_tests.h"
#include "broker/quorum/election_state.h"

namespace broker::quorum::testing {
namespace {

protocol::DescribeQuorumResponse describe(Node& node) {
  protocol::DescribeQuorumRequest request;
  request.topics.push_back({"__cluster_metadata", {{0}}});
  return node.log->describe_quorum(request);
}

ErrorCode add_voter(Cluster& cluster, Node& leader, const Voter& voter) {
  protocol::AddRaftVoterRequest request;
  request.cluster_id = kClusterId;
  request.timeout_ms = 2000;
  request.voter_id = voter.id.value;
  request.voter_directory_id = voter.directory_id;
  request.listeners = {{voter.listener, voter.endpoint.host, voter.endpoint.port}};
  std::optional<std::int16_t> error;
  leader.log->add_raft_voter(
      request, [&](protocol::AddRaftVoterResponse response) { error = response.error_code; });
  cluster.world.run_until([&] { return error.has_value(); }, milliseconds(5000));
  return static_cast<ErrorCode>(*error);
}

ErrorCode remove_voter(Cluster& cluster, Node& leader, const Voter& voter) {
  protocol::RemoveRaftVoterRequest request;
  request.cluster_id = kClusterId;
  request.voter_id = voter.id.value;
  request.voter_directory_id = voter.directory_id;
  std::optional<std::int16_t> error;
  leader.log->remove_raft_voter(
      request, [&](protocol::RemoveRaftVoterResponse response) { error = response.error_code; });
  cluster.world.run_until([&] { return error.has_value(); }, milliseconds(5000));
  return static_cast<ErrorCode>(*error);
}

TEST(MetadataLogCluster, ThreeVotersElectALeaderAndAllReplayWhatItAppends) {
  Cluster cluster(3);
  cluster.start_all();
  EXPECT_LE(cluster.elect(), milliseconds(500));
  cluster.create_topic("orders");
  cluster.create_topic("payments");
  for (auto& [id, node] : cluster.nodes) {
    EXPECT_EQ(node->listener->leader.leader, cluster.leader()->id);
    EXPECT_EQ(node->listener->leader.endpoint, Cluster::endpoint(cluster.leader()->id.value));
    EXPECT_EQ(node->log->log_end_offset(), cluster.leader()->log->log_end_offset());
    EXPECT_EQ(node->log->voters().voters.size(), 3U);
    const auto stored =
        read_election_state(*cluster.files, node->directory + "/__cluster_metadata-0");
    EXPECT_EQ((*stored)->leader, cluster.leader()->id);
  }
}

TEST(MetadataLogCluster, AKilledLeaderIsReplacedWithinThreeHundredMilliseconds) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  for (int round = 0; round < 6; ++round) {
    const std::string topic = "topic" + std::to_string(round);
    cluster.create_topic(topic);
    Node& old = *cluster.leader();
    cluster.kill(old);
    EXPECT_LE(cluster.elect(), milliseconds(300));
    EXPECT_NE(cluster.leader(), &old);
    EXPECT_TRUE(cluster.leader()->listener->has(topic));
    cluster.create_topic("after" + std::to_string(round));
    cluster.start(old);
    cluster.world.run_until([&] { return cluster.everybody_has("after" + std::to_string(round)); },
                            milliseconds(2000));
  }
}

TEST(MetadataLogCluster, AFrozenLeaderIsReplacedWithinTwoSecondsAndStepsDown) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  cluster.world.run_for(milliseconds(1234));
  Node& old = *cluster.leader();
  old.cut_off = true;
  EXPECT_LE(cluster.elect(), milliseconds(2000));
  // It cannot know of the other one, but that nobody fetches from it.
  cluster.world.run_until([&] { return !old.leads(); }, milliseconds(3000));
}

TEST(MetadataLogCluster, ALeaderThatResignsIsReplacedAtOnce) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  Node& old = *cluster.leader();
  bool told = false;
  old.log->resign([&] { told = true; });
  EXPECT_FALSE(old.leads());
  EXPECT_LE(cluster.elect(), milliseconds(100));
  EXPECT_TRUE(told);
  EXPECT_NE(cluster.leader(), &old);
}

TEST(MetadataLogCluster, WhatALeaderAppendedAloneIsTruncatedOnItsReturn) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  Node& old = *cluster.leader();
  old.cut_off = true;
  const Offset lost = cluster.append(old, "lost");
  cluster.append(old, "lost too");
  cluster.world.run_for(milliseconds(10));
  EXPECT_FALSE(old.listener->has("lost"));
  cluster.elect();
  cluster.append(*cluster.leader(), "kept");
  cluster.world.run_until([&] { return cluster.leader()->listener->has("kept"); },
                          milliseconds(2000));
  old.cut_off = false;
  cluster.world.run_until([&] { return cluster.everybody_has("kept"); }, milliseconds(8000));
  EXPECT_FALSE(old.listener->has("lost"));
  EXPECT_FALSE(old.listener->fatal);
  EXPECT_EQ(old.log->log_end_offset(), cluster.leader()->log->log_end_offset());
  EXPECT_GE(old.log->log_end_offset(), lost);
  cluster.kill(old);
  cluster.start(old);
  cluster.world.run_until([&] { return cluster.everybody_has("kept"); }, milliseconds(3000));
  EXPECT_FALSE(old.listener->has("lost"));
}

TEST(MetadataLogCluster, AllAtOnceComeBackWithEverythingCommitted) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  for (auto& [id, node] : cluster.nodes) cluster.kill(*node);
  cluster.start_all();
  EXPECT_LE(cluster.elect(), milliseconds(500));
  cluster.world.run_until([&] { return cluster.everybody_has("orders"); }, milliseconds(2000));
}

TEST(MetadataLogCluster, AMinorityCommitsNothing) {
  Cluster cluster(3);
  cluster.start(cluster.node(2));
  cluster.world.run_for(milliseconds(10'000));
  EXPECT_EQ(cluster.leader(), nullptr);
  EXPECT_EQ(cluster.node(2).log->epoch(), LeaderEpoch{0});  // a pre-vote raises no epoch
  cluster.start(cluster.node(3));
  EXPECT_LE(cluster.elect(), milliseconds(2500));
}

TEST(MetadataLogCluster, AnObserverIsFilledFromASnapshotAndFollowsOn) {
  Cluster cluster(3);
  for (auto& [id, node] : cluster.nodes) {
    node->options.snapshot_after_bytes = 300;
    node->options.fetch_max_bytes = 128;  // many chunks
  }
  cluster.start_all();
  cluster.elect();
  for (int i = 0; i < 20; ++i) cluster.create_topic("topic" + std::to_string(i));
  Node& broker = cluster.add(9, false);
  broker.options.is_controller = false;
  broker.options.fetch_max_bytes = 128;
  cluster.start(broker);
  cluster.world.run_until([&] { return cluster.everybody_has("topic19"); }, milliseconds(3000));
  EXPECT_EQ(broker.listener->snapshots, 1);
  EXPECT_EQ(broker.log->voters().voters.size(), 3U);
  EXPECT_FALSE(broker.log->is_voter());
  cluster.create_topic("later");
  const auto described = describe(*cluster.leader());
  ASSERT_EQ(described.topics[0].partitions[0].observers.size(), 1U);
  EXPECT_EQ(described.topics[0].partitions[0].observers[0].replica_id, 9);
  // Its restart begins at that snapshot, and the leader's end does not stop it.
  cluster.kill(broker);
  cluster.start(broker);
  EXPECT_EQ(broker.listener->snapshots, 1);
  cluster.kill(*cluster.leader());
  cluster.elect();
  cluster.create_topic("last");
}

TEST(MetadataLogCluster, StaticVotersElectAndRefillAWipedDisk) {
  Cluster cluster(3, false);
  for (auto& [id, node] : cluster.nodes) node->options.snapshot_after_bytes = 300;
  cluster.start_all();
  cluster.elect();
  EXPECT_EQ(cluster.leader()->log->voters().kraft_version, 0);
  for (int i = 0; i < 12; ++i) cluster.create_topic("topic" + std::to_string(i));
  Node& follower = cluster.leader() == &cluster.node(1) ? cluster.node(2) : cluster.node(1);
  cluster.kill(follower);
  std::filesystem::remove_all(follower.directory);
  follower.disk = Uuid{5, 5};
  cluster.format(follower, false);
  cluster.start(follower);
  cluster.world.run_until([&] { return cluster.everybody_has("topic11"); }, milliseconds(3000));
  EXPECT_TRUE(follower.log->is_voter());
  EXPECT_EQ(remove_voter(cluster, *cluster.leader(), Cluster::voter(1)),
            ErrorCode::kUnsupportedVersion);
}

TEST(MetadataLogCluster, VotersAreAddedAndRemovedTheLeaderIncluded) {
  Cluster cluster(1);
  cluster.start_all();
  ASSERT_TRUE(cluster.node(1).leads());
  cluster.create_topic("orders");
  for (int id = 2; id <= 3; ++id) {
    cluster.start(cluster.add(id, false));
    cluster.world.run_until([&] { return cluster.everybody_has("orders"); }, milliseconds(2000));
    cluster.world.run_for(milliseconds(100));
    EXPECT_EQ(add_voter(cluster, cluster.node(1), Cluster::voter(id)), ErrorCode::kNone);
  }
  Node& first = cluster.node(1);
  EXPECT_EQ(add_voter(cluster, first, Cluster::voter(3)), ErrorCode::kDuplicateVoter);
  EXPECT_EQ(remove_voter(cluster, first, Cluster::voter(8)), ErrorCode::kVoterNotFound);
  EXPECT_EQ(remove_voter(cluster, cluster.node(2), Cluster::voter(1)),
            ErrorCode::kNotLeaderOrFollower);
  cluster.create_topic("payments");
  EXPECT_EQ(describe(first).topics[0].partitions[0].current_voters.size(), 3U);
  EXPECT_EQ(describe(first).nodes.size(), 3U);

  EXPECT_EQ(remove_voter(cluster, first, Cluster::voter(1)), ErrorCode::kNone);
  cluster.world.run_until([&] { return cluster.leader() != nullptr && cluster.leader() != &first; },
                          milliseconds(3000));
  cluster.create_topic("without the first");
  EXPECT_EQ(cluster.leader()->log->voters().voters.size(), 2U);
  EXPECT_FALSE(first.log->is_voter());
}

TEST(MetadataLogCluster, AControllerThatLostItsDiskJoinsAgainByItself) {
  Cluster cluster(3);
  for (auto& [id, node] : cluster.nodes) node->options.auto_join = true;
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  Node& follower = cluster.leader() == &cluster.node(1) ? cluster.node(2) : cluster.node(1);
  cluster.kill(follower);
  std::filesystem::remove_all(follower.directory);
  follower.disk = Uuid{5, 5};
  cluster.format(follower, false);
  cluster.start(follower);
  cluster.world.run_until(
      [&] {
        const VoterSet& voters = cluster.leader()->log->voters();
        return voters.voters.size() == 3 && voters.find(follower.id, follower.disk) != nullptr;
      },
      milliseconds(10'000));
  cluster.create_topic("payments");
}

TEST(MetadataLogCluster, AVoterThatMovedTellsTheLeaderItsNewAddress) {
  Cluster cluster(3);
  cluster.start_all();
  cluster.elect();
  cluster.create_topic("orders");
  Node& follower = cluster.leader() == &cluster.node(1) ? cluster.node(2) : cluster.node(1);
  cluster.kill(follower);
  const io::Endpoint moved{"elsewhere", 9999};
  follower.options.listeners = {{"CONTROLLER", moved}};
  cluster.start(follower);
  cluster.world.run_until(
      [&] { return cluster.leader()->log->voters().find(follower.id)->endpoint == moved; },
      milliseconds(5000));
  cluster.kill(*cluster.leader());
  EXPECT_LE(cluster.elect(), milliseconds(500));
}

/// Crashes, cuts, resignations and appends in random order, with snapshots that replace the log.
void random_history(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  Cluster cluster(3);
  cluster.add(4, false).options.is_controller = false;
  for (auto& [id, node] : cluster.nodes) {
    node->options.snapshot_after_bytes = 200 + static_cast<std::int64_t>(rng.below(2000));
    node->options.retention_bytes = static_cast<std::int64_t>(rng.below(1000));
    node->options.seed = rng.next();
  }
  cluster.start_all();
  std::set<std::string> committed;
  std::vector<std::pair<Node*, std::string>> appended;
  for (int step = 0; step < 60 && !::testing::Test::HasFailure(); ++step) {
    cluster.world.run_for(milliseconds(rng.below(200)));
    // What a leader has shown its listener is committed for good.
    for (const auto& [node, topic] : appended) {
      if (node->up() && node->listener->has(topic)) committed.insert(topic);
    }
    Node& node = cluster.node(1 + static_cast<int>(rng.below(4)));
    const std::string topic = "topic" + std::to_string(step);
    switch (rng.below(6)) {
      case 0:
        if (node.up()) {
          std::erase_if(appended, [&](const auto& entry) { return entry.first == &node; });
          cluster.kill(node);
        } else {
          cluster.start(node);
        }
        break;
      case 1:
        node.cut_off = !node.cut_off;
        break;
      case 2:
        if (node.leads() && rng.below(4) == 0) node.log->resign([] {});
        break;
      default:
        for (auto& [id, leader] : cluster.nodes) {
          if (!leader->leads()) continue;
          cluster.append(*leader, topic + "-" + std::to_string(id));
          appended.push_back({leader.get(), topic + "-" + std::to_string(id)});
        }
    }
  }
  for (auto& [id, node] : cluster.nodes) {
    cluster.kill(*node);
    cluster.start(*node);
  }
  cluster.elect(milliseconds(5000));
  if (::testing::Test::HasFailure()) return;
  cluster.create_topic("last", milliseconds(8000));
  for (auto& [id, node] : cluster.nodes) {
    EXPECT_FALSE(node->listener->fatal);
    EXPECT_EQ(node->log->log_end_offset(), cluster.leader()->log->log_end_offset());
    for (const std::string& topic : committed) {
      EXPECT_TRUE(node->listener->has(topic)) << topic << " is gone from node " << id;
    }
    EXPECT_EQ(metadata::image_records(*node->listener->image).size(),
              metadata::image_records(*cluster.leader()->listener->image).size());
  }
}

TEST(MetadataLogCluster, RandomHistoriesKeepWhatWasCommitted) {
  for (std::uint64_t seed = 1; seed <= 5 && !HasFailure(); ++seed) random_history(seed);
}

}  // namespace
}  // namespace broker::quorum::testing
