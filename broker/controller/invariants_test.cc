// Random histories of a cluster. Whatever happens, no partition is led by somebody who lacks what
// was committed, unless an unclean election was asked for.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;
using metadata::PartitionRegistration;
using Key = std::pair<TopicId, std::int32_t>;

constexpr int kBrokers = 5;
constexpr int kSteps = 400;
constexpr std::size_t kMinIsr = 2;

std::string text(const std::vector<BrokerId>& ids) {
  std::string out;
  for (const BrokerId id : ids) out += (out.empty() ? "" : ",") + std::to_string(id.value);
  return "[" + out + "]";
}

std::string text(const PartitionRegistration& p) {
  return "leader " + std::to_string(p.leader.value) + " replicas " + text(p.replicas) + " isr " +
         text(p.isr) + " elr " + text(p.elr) + " last " + text(p.last_known_elr) + " adding " +
         text(p.adding_replicas) + " removing " + text(p.removing_replicas) + " recovering " +
         std::to_string(static_cast<int>(p.leader_recovery_state));
}

class History {
 public:
  History(std::uint64_t seed, bool elr) : world_(kBrokers), rng_(seed), elr_(elr) {
    if (elr) world_.finalise("eligible.leader.replicas.version", 1);
    for (int i = 0; i < 3; ++i) create_topic();
    check();
  }

  void run() {
    for (int i = 0; i < kSteps && !::testing::Test::HasFailure(); ++i) {
      world_.advance(std::chrono::seconds(10));  // a restart finds no valid session
      SCOPED_TRACE("step " + std::to_string(i) + ": " + step());
      check();
    }
    heal();
  }

 private:
  int any_broker() { return static_cast<int>(rng_.below(kBrokers)); }
  const metadata::TopicImage* any_topic() {
    const auto& topics = world_.image().topics.by_id;
    if (topics.empty()) return nullptr;
    auto it = topics.begin();
    for (std::uint64_t n = rng_.below(topics.size()); n > 0; --n) ++it;
    return &it->second;
  }
  std::vector<std::int32_t> some_brokers() {
    std::vector<std::int32_t> all;
    for (int id = 0; id < kBrokers; ++id) all.push_back(id);
    for (std::size_t i = 0; i < all.size(); ++i)
      std::swap(all[i], all[i + rng_.below(all.size() - i)]);
    all.resize(1 + rng_.below(3));
    return all;
  }
  void create_topic() {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "t" + std::to_string(++topics_);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    topic.configs.push_back({"min.insync.replicas", std::to_string(kMinIsr)});
    const auto first = some_brokers();
    for (std::int32_t p = 0; p < 3; ++p) topic.assignments.push_back({p, first});
    world_.run(request);  // may be refused: everybody in it is down
  }
  void delete_topic() {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    protocol::DeleteTopicsRequest request;
    request.topics.push_back({topic->name, Uuid{}});
    world_.run(request);
  }
  void crash(int id) {
    // What a crashed broker had may be gone: with ELR on, nobody may count on it afterwards.
    if (world_.restart(id, false) == ErrorCode::kNone && elr_)
      for (auto& [key, holders] : holders_) holders.erase(BrokerId{id});
  }
  void shut_down(int id) {
    auto beat = world_.beat(id);
    beat.want_shut_down = true;
    world_.run(beat);
  }
  void unregister(int id) {
    protocol::UnregisterBrokerRequest request;
    request.broker_id = id;
    world_.run(request);
    world_.restart(id, false);
    if (elr_)
      for (auto& [key, holders] : holders_) holders.erase(BrokerId{id});
  }
  void alter_isr() {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    const auto index = static_cast<std::int32_t>(rng_.below(topic->partitions.size()));
    const PartitionRegistration& p = world_.partition(topic->name, index);
    if (p.leader == kNoLeader) return;
    std::vector<std::int32_t> isr;
    for (const BrokerId id : p.replicas)
      if (id == p.leader || (world_.image().cluster.is_active(id) && rng_.below(4) != 0))
        isr.push_back(id.value);
    // The leader says that they have everything; the change may make one of them leader.
    for (const std::int32_t id : isr) holders_[{topic->id, index}].insert(BrokerId{id});
    const ErrorCode code = world_.alter_isr(topic->name, index, isr);
    EXPECT_TRUE(code == ErrorCode::kNone || code == ErrorCode::kNewLeaderElected)
        << static_cast<int>(code);
  }
  void reassign(bool cancel) {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    const auto index = static_cast<std::int32_t>(rng_.below(topic->partitions.size()));
    const std::string name = topic->name;
    world_.reassign(name, index, cancel ? std::nullopt : std::optional(some_brokers()));
  }
  void elect(std::int8_t type) {
    const auto* topic = any_topic();
    if (topic == nullptr) return;
    const auto index = static_cast<std::int32_t>(rng_.below(topic->partitions.size()));
    unclean_ = type == 1;
    world_.elect(topic->name, index, type);
  }

  std::string step() {
    unclean_ = false;
    const std::uint64_t choice = rng_.below(20);
    step(choice);
    return std::to_string(choice);
  }
  void step(std::uint64_t choice) {
    switch (choice) {
      case 0:
      case 1:
      case 2:
        return world_.fence(any_broker());
      case 3:
      case 4:
      case 5:
      case 6:
        return world_.unfence(any_broker());
      case 7:
        return crash(any_broker());
      case 8:
        return void(world_.restart(any_broker(), true));
      case 9:
        return shut_down(any_broker());
      case 10:
        return rng_.below(4) == 0 ? unregister(any_broker()) : create_topic();
      case 11:
        return rng_.below(3) == 0 ? delete_topic() : elect(0);
      case 12:
        return rng_.below(4) == 0 ? elect(1)
                                  : world_.replay(elect_preferred_leaders(world_.context(), 5));
      case 13:
      case 14:
        return reassign(false);
      case 15:
        return reassign(true);
      default:
        return alter_isr();
    }
  }

  void check() {
    const auto& image = world_.image();
    EXPECT_TRUE(PartitionIndex(image.topics) == world_.context().partitions);
    std::map<Key, PartitionRegistration> now;
    for (const auto& [id, topic] : image.topics.by_id)
      for (const auto& [index, p] : topic.partitions) {
        check(p, {id, index});
        now[{id, index}] = p;
      }
    std::erase_if(holders_, [&](const auto& entry) { return !now.contains(entry.first); });
    before_ = std::move(now);
  }

  void check(const PartitionRegistration& p, const Key& key) {
    SCOPED_TRACE("partition " + std::to_string(key.second));
    EXPECT_FALSE(p.replicas.empty());
    EXPECT_EQ(p.directories.size(), p.replicas.size());
    EXPECT_EQ(std::set(p.replicas.begin(), p.replicas.end()).size(), p.replicas.size());
    for (const BrokerId id : p.isr) EXPECT_TRUE(p.has_replica(id));
    for (const BrokerId id : p.elr) EXPECT_TRUE(p.has_replica(id) && !p.in_isr(id));
    for (const BrokerId id : p.adding_replicas) EXPECT_TRUE(p.has_replica(id));
    for (const BrokerId id : p.removing_replicas) EXPECT_TRUE(p.has_replica(id));
    if (p.leader != kNoLeader) {
      EXPECT_TRUE(p.in_isr(p.leader));
      EXPECT_TRUE(world_.image().cluster.is_active(p.leader));
    }
    EXPECT_TRUE(elr_ || (!p.isr.empty() && p.elr.empty()));
    const std::size_t minimum = std::min(kMinIsr, p.replicas.size());
    if (p.isr.size() >= minimum) {
      EXPECT_TRUE(p.elr.empty());
    }
    if (const auto was = before_.find(key); was != before_.end()) {
      EXPECT_GE(p.leader_epoch, was->second.leader_epoch);
      EXPECT_GE(p.partition_epoch, was->second.partition_epoch);
      EXPECT_TRUE(p == was->second || p.partition_epoch > was->second.partition_epoch);
      EXPECT_TRUE(p.leader == was->second.leader || p.leader_epoch > was->second.leader_epoch);
    }
    check_nothing_lost(p, key, minimum);
  }

  /// The model: a leader with enough replicas in sync commits something in every step, and only its
  /// ISR has it.
  void check_nothing_lost(const PartitionRegistration& p, const Key& key, std::size_t minimum) {
    std::set<BrokerId>& holders = holders_[key];
    if (p.leader == kNoLeader) return;
    const bool known = before_.contains(key);
    // A last known leader that comes back when nobody is known to be complete was not elected
    // cleanly either; it says so by recovering.
    const bool elected = known && before_.at(key).leader != p.leader;
    const bool lossy = (unclean_ && elected) ||
                       p.leader_recovery_state == metadata::LeaderRecoveryState::kRecovering;
    if (known && !lossy) {
      EXPECT_TRUE(holders.contains(p.leader))
          << "before: " << text(before_.at(key)) << "\nnow: " << text(p);
    }
    if (!known || lossy) holders.clear();
    if (p.isr.size() >= minimum) holders.clear();
    holders.insert(p.isr.begin(), p.isr.end());
  }

  /// Everybody comes back and catches up: every reassignment ends, every partition is led.
  void heal() {
    unclean_ = true;  // last known leaders may come back
    for (int round = 0; round < 2; ++round)
      for (int id = 0; id < kBrokers; ++id) {
        world_.fence(id);
        world_.advance(std::chrono::seconds(10));
        world_.restart(id, true);
        world_.unfence(id);
      }
    std::vector<PartitionIndex::Key> keys;
    for (const auto& [id, topic] : world_.image().topics.by_id)
      for (const auto& [index, p] : topic.partitions) keys.emplace_back(id, index);
    for (const auto& [id, index] : keys) {
      const std::string name = world_.image().topics.find(id)->name;
      const PartitionRegistration& p = world_.partition(name, index);
      if (p.leader == kNoLeader && elr_) continue;  // nobody is known to have what was committed
      ASSERT_NE(p.leader, kNoLeader);
      world_.alter_isr(name, index, to_numbers(p.replicas));
    }
    EXPECT_TRUE(elr_ || world_.context().partitions.reassigning().empty());
    for (const auto& [id, index] : world_.context().partitions.reassigning())
      EXPECT_EQ(world_.image().topics.partition(id, index)->leader, kNoLeader);
  }

  TestCluster world_;
  Rng rng_;
  const bool elr_;
  bool unclean_ = false;
  int topics_ = 0;
  std::map<Key, std::set<BrokerId>> holders_;
  std::map<Key, PartitionRegistration> before_;
};

TEST(Invariants, HoldInRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 30 && !HasFailure(); ++seed) {
    for (const bool elr : {false, true}) {
      SCOPED_TRACE("seed " + std::to_string(seed) + (elr ? " with" : " without") +
                   " eligible leader replicas");
      History(seed, elr).run();
    }
  }
}

}  // namespace
}  // namespace broker::controller
