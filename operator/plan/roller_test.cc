#include "operator/plan/roller.h"

#include <gtest/gtest.h>

#include <deque>

#include "broker/common/rng.h"
#include "operator/model/names.h"
#include "operator/plan/cluster_plan.h"

namespace op::plan {
namespace {

using broker::BrokerEpoch;
using broker::BrokerId;
using broker::Rng;
using broker::Uuid;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::MetadataImage;

constexpr const char* kNow = "2026-01-01T00:00:00Z";

api::PoolSpec pool(const std::string& name, std::vector<api::Role> roles, int replicas, int first) {
  api::PoolSpec out;
  out.name = name;
  out.roles = std::move(roles);
  out.replicas = replicas;
  out.first_node_id = first;
  return out;
}

api::Cluster cluster_of(std::vector<api::PoolSpec> pools) {
  api::Cluster cluster;
  cluster.metadata.name = "orders";
  cluster.metadata.namespace_ = "kafka";
  cluster.metadata.generation = 1;
  cluster.spec.pools = std::move(pools);
  cluster.status.cluster_id = "id";
  cluster.status.formatted = true;
  return cluster;
}

api::Cluster combined(int nodes) {
  return cluster_of({pool("main", {api::Role::kController, api::Role::kBroker}, nodes, 0)});
}
api::Cluster dedicated() {
  return cluster_of(
      {pool("ctl", {api::Role::kController}, 3, 0), pool("brk", {api::Role::kBroker}, 3, 100)});
}

/// A cluster that lives in ticks: pods stop and start, brokers register, replicas catch up. What
/// the planner sees of it may be late.
class World {
 public:
  World(api::Cluster wanted, std::uint64_t seed) : cluster(std::move(wanted)), rng_(seed) {
    for (const api::PoolSpec& p : cluster.spec.pools) {
      for (const std::int32_t id : model::node_ids(p)) {
        Node node;
        node.is_broker = p.has_role(api::Role::kBroker);
        node.is_controller = p.has_role(api::Role::kController);
        node.pool = p.name;
        node.uid = new_uid();
        nodes[id] = node;
        if (node.is_controller) quorum_leader = id;
      }
    }
    for (auto& [id, node] : nodes)
      if (node.is_broker) register_broker(id);
    make_topic("orders", 3, 12);
    for (int i = 0; i < 4; ++i) remember();
  }

  WindowState window;

  struct Node {
    bool is_broker = false;
    bool is_controller = false;
    std::string pool;
    std::string uid;
    std::string digest = "old";
    std::string problem;
    int starts_in = 0;      // ticks until the process serves
    int catches_up_in = 0;  // ticks until its replicas are in sync
    bool ready = true;
    bool name_is_stale = false;
    int restarts = 0;
  };

  void make_topic(const std::string& name, int replicas, int partitions) {
    std::vector<BrokerId> brokers;
    for (const auto& [id, node] : nodes)
      if (node.is_broker) brokers.push_back(BrokerId{id});
    broker::metadata::TopicImage topic{name, Uuid{9, image.topics.ids.size() + 1}, {}};
    for (int i = 0; i < partitions; ++i) {
      broker::metadata::PartitionRegistration partition;
      for (int r = 0; r < replicas; ++r)
        partition.replicas.push_back(brokers[(i + r) % brokers.size()]);
      partition.isr = partition.replicas;
      partition.leader = partition.replicas.front();
      topic.partitions.set(i, partition);
    }
    image.topics.by_id.set(topic.id, topic);
    image.topics.ids.set(name, topic.id);
  }

  void remember() {
    history_.push_back(std::make_shared<MetadataImage>(image));
    if (history_.size() > 4) history_.pop_front();
  }

  /// What the planner is told: an image up to `late` ticks old.
  RollStep plan(int late) {
    const auto& seen = history_[history_.size() - 1 - std::min<std::size_t>(late, 3)];
    ClusterInput in{.cluster = cluster};
    for (const auto& [id, node] : nodes) {
      ObservedPod pod;
      pod.node_id = id;
      pod.name = "orders-" + node.pool + "-" + std::to_string(id);
      pod.uid = node.uid;
      pod.ready = node.ready;
      pod.declared_digest = node.digest;
      pod.problem = node.problem;
      pod.name_is_stale = node.name_is_stale;
      in.pods.push_back(pod);
    }
    for (const api::PoolSpec& p : cluster.spec.pools) in.declared_digests[p.name] = wanted_digest;
    in.image = seen.get();
    in.synced = true;
    in.now = now;
    in.quorum = ObservedQuorum{quorum_leader, {}, {}};
    for (const auto& [id, node] : nodes)
      if (node.is_controller)
        in.quorum->voters.push_back({id, Uuid{1, static_cast<std::uint64_t>(id)}, is_up(node)});
    in.quorum_is_current = true;
    in.window = window;
    RollStep step = plan_roll(in);
    cluster.status.roll = step.status;
    return step;
  }

  /// Deletes the pod; its StatefulSet makes another one.
  void restart(std::int32_t id) {
    Node& node = nodes.at(id);
    node.uid = new_uid();
    node.digest = wanted_digest;
    node.problem.clear();
    node.ready = false;
    node.starts_in = 1 + static_cast<int>(rng_.below(4));
    ++node.restarts;
    if (node.is_broker) leave_isr(id);
    if (quorum_leader == id)
      for (const auto& [other, candidate] : nodes)
        if (candidate.is_controller && is_up(candidate)) quorum_leader = other;
  }

  void tick() {
    for (auto& [id, node] : nodes) {
      if (!node.ready && node.starts_in > 0 && --node.starts_in == 0) {
        if (broken_digest == node.digest) {
          node.problem = "CrashLoopBackOff: no";
          continue;
        }
        node.ready = true;
        if (node.is_broker) {
          register_broker(id);
          node.catches_up_in = 1 + static_cast<int>(rng_.below(5));
        }
      }
      if (node.ready && node.catches_up_in > 0 && --node.catches_up_in == 0) join_isr(id);
    }
    remember();
  }

  int down() const {
    int out = 0;
    for (const auto& [id, node] : nodes) out += is_up(node) ? 0 : 1;
    return out;
  }
  bool is_whole() const {
    for (const auto& [id, topic] : image.topics.by_id)
      for (const auto& [index, partition] : topic.partitions)
        if (partition.isr.size() != partition.replicas.size()) return false;
    return true;
  }
  /// Rolls until nothing is left to do; returns the order of restarts.
  std::vector<std::int32_t> roll(int ticks = 400) {
    std::vector<std::int32_t> order;
    for (int t = 0; t < ticks; ++t) {
      const RollStep step = plan(static_cast<int>(rng_.below(4)));
      if (std::holds_alternative<Nothing>(step.action)) return order;
      // The operator may be killed after it has written the status.
      if (const auto* chosen = std::get_if<RestartBroker>(&step.action);
          chosen && rng_.below(10) >= 3) {
        EXPECT_EQ(nodes.at(chosen->node_id).uid, chosen->uid);
        if (nodes.at(chosen->node_id).ready) {
          EXPECT_EQ(down(), 0) << "node " << chosen->node_id << " goes while another is away";
          EXPECT_TRUE(is_whole()) << "node " << chosen->node_id << " goes too early";
        }
        restart(chosen->node_id);
        order.push_back(chosen->node_id);
      }
      if (const auto* restore = std::get_if<RestoreLeaders>(&step.action)) elect(*restore);
      tick();
    }
    ADD_FAILURE() << "the roll does not end: "
                  << (cluster.status.roll ? cluster.status.roll->waiting_for : "");
    return order;
  }

  void elect(const RestoreLeaders& restore) {
    for (const auto& [name, index] : restore.partitions) {
      auto topic = *image.topics.find(name);
      auto partition = *topic.partitions.find(index);
      if (partition.in_isr(partition.replicas.front())) partition.leader = partition.replicas[0];
      topic.partitions.set(index, partition);
      image.topics.by_id.set(topic.id, topic);
    }
  }
  bool leads_as_preferred() const {
    for (const auto& [id, topic] : image.topics.by_id)
      for (const auto& [index, partition] : topic.partitions)
        if (partition.leader != partition.replicas.front()) return false;
    return true;
  }

  api::Cluster cluster;
  std::map<std::int32_t, Node> nodes;
  MetadataImage image;
  std::int32_t quorum_leader = -1;
  api::Timestamp now = kNow;
  std::string wanted_digest = "old";
  std::string broken_digest;

 private:
  static bool is_up(const Node& node) { return node.ready; }
  std::string new_uid() { return "uid-" + std::to_string(++uids_); }
  void register_broker(std::int32_t id) {
    image.cluster.brokers.set(
        BrokerId{id}, {.id = BrokerId{id}, .epoch = BrokerEpoch{++epoch_}, .fenced = false});
  }
  template <class Change>
  void change_partitions(Change change) {
    const auto topics = image.topics.by_id;
    for (const auto& [id, before] : topics) {
      auto topic = before;
      for (const auto& [index, partition] : before.partitions) {
        auto changed = partition;
        change(changed);
        topic.partitions.set(index, changed);
      }
      image.topics.by_id.set(id, topic);
    }
  }
  void leave_isr(std::int32_t id) {
    change_partitions([&](auto& partition) {
      std::erase(partition.isr, BrokerId{id});
      if (partition.leader == BrokerId{id} && !partition.isr.empty())
        partition.leader = partition.isr.front();
    });
    auto registration = *image.cluster.broker(BrokerId{id});
    registration.fenced = true;
    image.cluster.brokers.set(BrokerId{id}, registration);
  }
  void join_isr(std::int32_t id) {
    change_partitions([&](auto& partition) {
      if (partition.has_replica(BrokerId{id}) && !partition.in_isr(BrokerId{id}))
        partition.isr.push_back(BrokerId{id});
    });
  }

  Rng rng_;
  int uids_ = 0;
  std::int64_t epoch_ = 0;
  std::deque<std::shared_ptr<MetadataImage>> history_;
};

TEST(Roller, AConvergedClusterPlansNothing) {
  for (api::Cluster cluster : {combined(1), combined(3), combined(5), dedicated()}) {
    World world(cluster, 1);
    const RollStep step = world.plan(0);
    EXPECT_EQ(step.action, RollAction(Nothing{}));
    EXPECT_EQ(step.status, std::nullopt);
  }
}

TEST(Roller, NeverTwoAwayWhateverIsSeenLate) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed % 3 == 0 ? dedicated() : combined(seed % 3 == 1 ? 3 : 5), seed);
    world.wanted_digest = "new";
    const auto order = world.roll();
    EXPECT_EQ(order.size(), world.nodes.size());
    for (const auto& [id, node] : world.nodes) EXPECT_EQ(node.restarts, 1) << id;
    EXPECT_TRUE(world.leads_as_preferred());
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Roller, HealthyPodsWaitForTheWindowAndOneThatIsUnderWayIsFinished) {
  World world(combined(3), 5);
  world.wanted_digest = "new";
  world.window = {false, "2026-01-01T02:00:00Z"};
  RollStep step = world.plan(0);
  EXPECT_TRUE(std::holds_alternative<WaitUntilReady>(step.action));
  EXPECT_EQ(step.status->window_opens, "2026-01-01T02:00:00Z");
  EXPECT_EQ(step.status->waiting_for, "the next maintenance window opens at 2026-01-01T02:00:00Z");
  world.window = {};
  step = world.plan(0);
  const auto* chosen = std::get_if<RestartBroker>(&step.action);
  ASSERT_NE(chosen, nullptr);
  EXPECT_EQ(step.status->window_opens, "");
  const std::int32_t first = chosen->node_id;
  world.restart(first);
  world.window = {false, "2026-01-02T02:00:00Z"};
  for (int t = 0; t < 100; ++t) {
    step = world.plan(0);
    ASSERT_FALSE(std::holds_alternative<RestartBroker>(step.action));
    if (const auto* restore = std::get_if<RestoreLeaders>(&step.action)) world.elect(*restore);
    world.tick();
  }
  EXPECT_EQ(step.status->done, 1);
  EXPECT_EQ(step.status->window_opens, "2026-01-02T02:00:00Z");
  // One that does not serve anyway is not spared by waiting.
  auto& broken = world.nodes.at(first == 2 ? 1 : 2);
  broken.ready = false;
  broken.problem = "CrashLoopBackOff: no";
  step = world.plan(0);
  EXPECT_TRUE(std::holds_alternative<RestartBroker>(step.action));
}

TEST(Roller, BrokersGoBeforeControllersAndTheLeaderOfTheQuorumLast) {
  World world(dedicated(), 7);
  world.quorum_leader = 1;
  world.wanted_digest = "new";
  const auto order = world.roll();
  ASSERT_EQ(order.size(), 6u);
  for (int i = 0; i < 3; ++i) EXPECT_GE(order[i], 100);
  EXPECT_EQ(order.back(), 1);
}

TEST(Roller, ABadChangeStopsAfterItsFirstPodAndTakingItBackHeals) {
  World world(combined(3), 3);
  world.wanted_digest = world.broken_digest = "bad";
  int restarts = 0;
  for (int t = 0; t < 100; ++t) {
    const RollStep step = world.plan(0);
    if (const auto* chosen = std::get_if<RestartBroker>(&step.action)) {
      world.restart(chosen->node_id);
      ++restarts;
    }
    world.tick();
  }
  EXPECT_EQ(restarts, 1);
  EXPECT_EQ(world.down(), 1);
  EXPECT_NE(world.cluster.status.roll->waiting_for.find("CrashLoopBackOff"), std::string::npos);
  world.wanted_digest = "old";
  EXPECT_EQ(world.roll().size(), 1u);
  EXPECT_EQ(world.down(), 0);
}

TEST(Roller, AQuorumOfBrokenNodesIsRestartedTogether) {
  World world(combined(3), 5);
  for (auto& [id, node] : world.nodes) {
    node.ready = false;
    node.problem = "ImagePullBackOff: no such image";
  }
  world.wanted_digest = "good";
  for (int i = 0; i < 3; ++i) {
    const RollStep step = world.plan(0);
    ASSERT_TRUE(std::holds_alternative<RestartBroker>(step.action)) << i;
    world.restart(std::get<RestartBroker>(step.action).node_id);
    world.nodes.at(std::get<RestartBroker>(step.action).node_id).starts_in = 100;
  }
}

TEST(Roller, NothingGoesOnWhileTheNameOfTheNodeLeadsToItsFormerAddress) {
  World world(combined(3), 6);
  world.wanted_digest = "new";
  world.restart(std::get<RestartBroker>(world.plan(0).action).node_id);
  const std::int32_t first = *world.cluster.status.roll->node_id;
  world.nodes.at(first).name_is_stale = true;
  for (int t = 0; t < 30; ++t) {
    world.tick();
    EXPECT_TRUE(std::holds_alternative<WaitUntilReady>(world.plan(0).action)) << t;
  }
  EXPECT_NE(world.cluster.status.roll->waiting_for.find("former address"), std::string::npos);
  world.nodes.at(first).name_is_stale = false;
  EXPECT_EQ(world.roll().size(), 2u);
}

TEST(Roller, LeadershipsThatCannotBeRestoredHoldTheRollForAWhileOnly) {
  World world(combined(3), 8);
  world.wanted_digest = "new";
  world.restart(std::get<RestartBroker>(world.plan(0).action).node_id);
  for (int t = 0; t < 30; ++t) world.tick();
  const std::int32_t first = *world.cluster.status.roll->node_id;
  RollStep step = world.plan(0);
  ASSERT_TRUE(std::holds_alternative<RestoreLeaders>(step.action));
  EXPECT_EQ(step.status->restoring_since, world.now);
  world.now = "2026-01-01T00:00:19Z";  // refused until now
  EXPECT_TRUE(std::holds_alternative<RestoreLeaders>(world.plan(0).action));
  world.now = "2026-01-01T00:00:20Z";
  step = world.plan(0);
  ASSERT_TRUE(std::holds_alternative<RestartBroker>(step.action));
  EXPECT_NE(std::get<RestartBroker>(step.action).node_id, first);
  EXPECT_EQ(step.status->restoring_since, "");
  ASSERT_EQ(step.status->not_restored.size(), 4u);
  EXPECT_EQ(step.status->not_restored.front(),
            "orders-" + std::to_string(first) + " of node " + std::to_string(first));
}

TEST(Roller, WaitsForReplicasThatAreBehindAndSaysWhich) {
  World world(combined(3), 2);
  world.wanted_digest = "new";
  auto topic = *world.image.topics.find("orders");
  auto partition = *topic.partitions.find(4);
  partition.isr.pop_back();
  topic.partitions.set(4, partition);
  world.image.topics.by_id.set(topic.id, topic);
  world.remember();
  const RollStep step = world.plan(0);
  ASSERT_TRUE(std::holds_alternative<WaitUntilReady>(step.action));
  EXPECT_EQ(step.status->waiting_for, "1 partition must get back in sync, such as orders-4");
  EXPECT_EQ(step.status->total, 3);
  EXPECT_EQ(step.status->done, 0);
}

TEST(Roller, NamesTopicsThatCannotSpareABrokerAndHonoursThePolicy) {
  World world(combined(3), 2);
  world.make_topic("single", 1, 3);
  world.remember();
  world.wanted_digest = "new";
  RollStep step = world.plan(0);
  ASSERT_TRUE(std::holds_alternative<RestartBroker>(step.action));
  EXPECT_EQ(step.status->unsafe_topics, std::vector<std::string>{"single"});
  world.cluster.status.roll.reset();
  world.cluster.spec.upgrade.on_unsafe_topics = api::UnsafeTopics::kBlock;
  step = world.plan(0);
  ASSERT_TRUE(std::holds_alternative<WaitUntilReady>(step.action));
  EXPECT_EQ(std::get<WaitUntilReady>(step.action).why.reason, "UnsafeTopics");
}

TEST(Roller, ProgressIsCountedAndAnEditInTheMiddleStartsOver) {
  World world(combined(3), 4);
  world.wanted_digest = "new";
  int done = -1;
  for (int t = 0; t < 60 && done < 1; ++t) {
    const RollStep step = world.plan(0);
    if (const auto* chosen = std::get_if<RestartBroker>(&step.action))
      world.restart(chosen->node_id);
    if (const auto* restore = std::get_if<RestoreLeaders>(&step.action)) world.elect(*restore);
    done = step.status->done;
    world.tick();
  }
  EXPECT_EQ(done, 1);
  EXPECT_EQ(world.cluster.status.roll->total, 3);
  world.wanted_digest = "newer";
  world.plan(0);
  EXPECT_EQ(world.cluster.status.roll->done, 0);
  EXPECT_EQ(world.cluster.status.roll->total, 3);
  world.roll();
  for (const auto& [id, node] : world.nodes) EXPECT_EQ(node.digest, "newer");
}

// --- voters -----------------------------------------------------------------------------------

ObservedQuorum quorum_of_three() {
  return {1, {{0, Uuid{1, 0}, true}, {1, Uuid{1, 1}, true}, {2, Uuid{1, 2}, true}}, {}};
}

TEST(VoterPlan, AHealthyQuorumIsLeftAlone) {
  EXPECT_EQ(next_voter_action(combined(3), quorum_of_three(), {}), VoterAction(KeepVoters{}));
}

TEST(VoterPlan, ALostDiskIsReplacedByRemovingAndAdding) {
  ObservedQuorum quorum = quorum_of_three();
  quorum.voters[2].caught_up = false;
  EXPECT_EQ(next_voter_action(combined(3), quorum, {}), VoterAction(KeepVoters{}));  // only away
  quorum.observers = {{2, Uuid{7, 2}, false}};
  EXPECT_TRUE(std::holds_alternative<WaitForQuorum>(
      next_voter_action(combined(3), quorum, {})));  // not yet
  quorum.observers[0].caught_up = true;
  auto action = next_voter_action(combined(3), quorum, {});
  ASSERT_TRUE(std::holds_alternative<RemoveVoter>(action));
  EXPECT_EQ(std::get<RemoveVoter>(action).directory_id, (Uuid{1, 2}));
  quorum.voters.pop_back();
  quorum.observers.insert(quorum.observers.begin(), {2, Uuid{1, 2}, false});  // listed for a while
  action = next_voter_action(combined(3), quorum, {});
  ASSERT_TRUE(std::holds_alternative<AddVoter>(action));
  EXPECT_EQ(std::get<AddVoter>(action).directory_id, (Uuid{7, 2}));
  quorum.voters.push_back({2, Uuid{7, 2}, true});
  quorum.observers.clear();
  EXPECT_EQ(next_voter_action(combined(3), quorum, {}), VoterAction(KeepVoters{}));
}

TEST(VoterPlan, NothingIsRemovedThatTheOthersCannotSpare) {
  ObservedQuorum quorum = quorum_of_three();
  quorum.voters[2].caught_up = false;
  quorum.observers = {{2, Uuid{7, 2}, true}};
  quorum.voters[0].caught_up = false;  // two are left, one is current: no majority
  EXPECT_TRUE(std::holds_alternative<WaitForQuorum>(next_voter_action(combined(3), quorum, {})));
}

TEST(VoterPlan, AnObserverOfThePastTakesNoVote) {
  ObservedQuorum quorum = quorum_of_three();
  quorum.observers = {{2, Uuid{7, 2}, true}};  // an older disk of the voter that is there
  EXPECT_EQ(next_voter_action(combined(3), quorum, {}), VoterAction(WatchVoters{}));
}

TEST(VoterPlan, BrokersAreNoCandidates) {
  ObservedQuorum quorum = quorum_of_three();
  quorum.observers = {{100, Uuid{7, 100}, true}};
  EXPECT_EQ(next_voter_action(dedicated(), quorum, {}), VoterAction(KeepVoters{}));
}

}  // namespace
}  // namespace op::plan
