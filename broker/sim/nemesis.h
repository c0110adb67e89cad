#pragma once

#include <string>

#include "broker/sim/cluster.h"

namespace broker::sim {

/// Brings the faults of a plan over a cluster, one after the other, some of them together.
class Nemesis {
 public:
  Nemesis(Cluster& cluster, const Plan& plan);
  void start();
  /// No more faults; everything is healed, and what is down starts again.
  void end();
  std::uint64_t faults() const { return faults_; }

 private:
  using Fault = void (Nemesis::*)();
  void plan_next();
  void strike();
  SimNode* victim();
  SimNode* running_victim();
  void note_death(SimNode& node, bool power);
  /// Whether the cluster promises to lose nothing although this node dies now.
  bool may_die(const SimNode& victim, bool power);
  void note(const std::string& what);
  void start_again(SimNode& node, Duration min, Duration max);
  void stumble(SimNode& node, int times);

  void kill();
  void kill_in_operation();
  void kill_all();
  void contest_vote();
  void lose_power();
  void freeze();
  void restart();
  void cut_off();
  void cut_one_way();
  void cut_clients_off();
  void reset();
  void bad_links();
  void slow_disk();
  void disk_errors();
  void skew_clock();

  Cluster& cluster_;
  const Plan& plan_;
  std::vector<Fault> choices_;
  bool ended_ = false;
  std::uint64_t faults_ = 0;
};

}  // namespace broker::sim
