// Whatever happens to three brokers and their links, a client that insists loses nothing. More
// seeds than the usual: MILLRACE_SEEDS=<how many>.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "broker/replication/cluster_for_tests.h"

namespace broker::replication {
namespace {

using testing::TestCluster;

/// One run of random events. A process may die, but what it has written stays written.
class Chaos {
 public:
  explicit Chaos(std::uint64_t seed)
      : rng_(seed),
        cluster_({.min_insync_replicas = 2,
                  .replica_lag_time_max = std::chrono::milliseconds(400),
                  .max_delay_ms = seed % 2 == 0 ? 0u : 15u,
                  .seed = seed}) {
    cluster_.create_topic({1, 2, 3});
  }

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      send();
      check();
    }
    heal();
    ended_ = true;
    for (int i = 0; i < 200 && (acked_ < sent_ || cluster_.isr().size() < 3); ++i) {
      send();
      advance(50);
    }
    advance(1'000);
    check();
    check_end();
  }

 private:
  static constexpr int kBrokers = 3;

  void step() {
    const int id = 1 + static_cast<int>(rng_.below(kBrokers));
    switch (rng_.below(12)) {
      case 0:
        if (cluster_.is_up(id)) crash(id);
        break;
      case 1:
      case 2:
        if (!cluster_.is_up(id)) restart(id);
        break;
      case 3:
        if (cluster_.is_up(id) && !cut_.contains(id)) {
          cluster_.cut_off(id);
          cut_.insert(id);
        }
        break;
      case 4:
      case 5:
        if (cut_.erase(id) > 0) {
          cluster_.heal(id);
          cluster_.publish();
        }
        break;
      case 6:
        move_leader();
        break;
      case 7:
        cluster_.behind = {id};
        break;
      default:
        cluster_.behind = {};
        cluster_.publish();
    }
    if (rng_.below(3) > 0) notice();
    advance(static_cast<int>(rng_.below(120)));
  }

  void crash(int id) {
    cluster_.stop(id, true);
    cut_.erase(id);
    seen_.erase(id);
  }
  // Registering again ends what the controller thought of the incarnation before.
  void restart(int id) {
    cluster_.behind.erase(id);
    cluster_.start(id);
    leave_isr(id);
    notice();
  }

  bool works(int id) { return cluster_.is_up(id) && !cut_.contains(id); }

  /// The controller sees who is there.
  void notice() {
    for (int id = 1; id <= kBrokers; ++id) {
      if (works(id) == fenced_.contains(id)) cluster_.fence(id, !works(id));
      if (works(id)) {
        fenced_.erase(id);
      } else {
        fenced_.insert(id);
        leave_isr(id);
      }
    }
    const auto partition = cluster_.registration();
    if (partition.leader.value >= 0 && works(partition.leader.value)) return;
    for (const BrokerId member : partition.isr)
      if (works(member.value)) return lead(member.value);
    if (partition.leader.value >= 0) lead(-1);
  }
  void leave_isr(int id) {
    auto partition = cluster_.registration();
    auto& isr = partition.isr;
    if (isr.size() <= 1 || std::find(isr.begin(), isr.end(), BrokerId{id}) == isr.end()) return;
    isr.erase(std::find(isr.begin(), isr.end(), BrokerId{id}));
    if (partition.leader == BrokerId{id}) {
      partition.leader = metadata::kNoLeader;
      partition.leader_epoch.value += 1;
    }
    cluster_.change(std::move(partition));
  }
  void lead(int id) {
    auto partition = cluster_.registration();
    partition.leader = BrokerId{id};
    partition.leader_epoch.value += 1;
    cluster_.change(std::move(partition));
  }
  void move_leader() {
    const auto partition = cluster_.registration();
    const auto& to = partition.isr[rng_.below(partition.isr.size())];
    if (to != partition.leader && works(to.value)) lead(to.value);
  }

  /// An idempotent producer with one batch under way, which it repeats until it is acknowledged.
  void send() {
    if (under_way_ && under_way_->result) {
      if (under_way_->result->error == ErrorCode::kNone) acked_ = sent_;
      under_way_.reset();
    }
    const int leader = cluster_.registration().leader.value;
    if (leader < 0 || !works(leader)) return;
    if (under_way_ && cluster_.world.now() < patience_) return;
    if (acked_ == sent_ && ended_) return;
    if (acked_ == sent_) ++sent_;
    patience_ = cluster_.world.now() + std::chrono::milliseconds(300);
    under_way_ = cluster_.produce(leader, TestCluster::batch(value(sent_), 7, sent_ - 1));
  }
  static std::string value(int number) { return "<" + std::to_string(number) + ">"; }

  void advance(int ms) { cluster_.world.advance(std::chrono::milliseconds(ms)); }

  void heal() {
    cluster_.behind = {};
    for (const int id : std::exchange(cut_, {})) cluster_.heal(id);
    for (int id = 1; id <= kBrokers; ++id)
      if (!cluster_.is_up(id)) restart(id);
    notice();
    cluster_.publish();
  }

  // High watermarks do not fall while a process lives, and below them all logs agree.
  void check() {
    std::map<std::int64_t, std::string> committed;
    for (int id = 1; id <= kBrokers; ++id) {
      if (!cluster_.is_up(id)) continue;
      const Offset high_watermark = cluster_.high_watermark(id);
      const auto seen = seen_.try_emplace(id, high_watermark).first;
      EXPECT_GE(high_watermark, seen->second) << "broker " << id;
      seen->second = high_watermark;
      for (const auto& [offset, bytes] : cluster_.content(id, high_watermark)) {
        const auto known = committed.try_emplace(offset, bytes).first;
        EXPECT_EQ(known->second, bytes) << "broker " << id << " offset " << offset;
        const auto ever = committed_.try_emplace(offset, bytes).first;
        EXPECT_EQ(ever->second, bytes) << "broker " << id << " offset " << offset;
      }
    }
  }

  void check_end() {
    EXPECT_EQ(cluster_.isr(), (std::vector{1, 2, 3}));
    EXPECT_EQ(acked_, sent_);
    const auto log = cluster_.content(1);
    EXPECT_EQ(cluster_.content(2), log);
    EXPECT_EQ(cluster_.content(3), log);
    for (int number = 1; number <= acked_; ++number) {
      const auto times = std::count_if(log.begin(), log.end(), [&](const auto& entry) {
        return entry.second.find(value(number)) != std::string::npos;
      });
      EXPECT_EQ(times, 1) << value(number);
    }
    EXPECT_EQ(static_cast<int>(log.size()), acked_);
  }

  Rng rng_;
  TestCluster cluster_;
  std::set<int> cut_, fenced_;
  std::map<int, Offset> seen_;                     // high watermarks of those that are up
  std::map<std::int64_t, std::string> committed_;  // ever, anywhere
  std::shared_ptr<TestCluster::Produced> under_way_;
  Instant patience_{};
  int sent_ = 0;
  int acked_ = 0;
  bool ended_ = false;  // nothing new is sent
};

TEST(ReplicationChaos, LosesAndRepeatsNothingThatWasAcknowledged) {
  const char* more = std::getenv("MILLRACE_SEEDS");
  const int seeds = more ? std::atoi(more) : 12;
  for (int seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos(static_cast<std::uint64_t>(seed)).run(60);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace broker::replication
