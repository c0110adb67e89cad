#pragma once

#include "broker/common/rng.h"
#include "broker/sim/plan.h"
#include "broker/sim/workload.h"

namespace broker::sim {

/// Whoever changes the cluster while it works: moves replicas, gives up moves, changes
/// configuration, gives leadership back. Whether each succeeds is the cluster's business.
class Administrator {
 public:
  Administrator(ClientContext& context, const Plan& plan, std::uint64_t seed);
  void start();
  /// How often something was asked for, and how often the answer was yes.
  std::uint64_t asked() const { return asked_; }
  std::uint64_t done() const { return done_; }

 private:
  using Act = void (Administrator::*)();
  void plan_next();
  void move_replicas();
  void give_up_move();
  void reconfigure();
  void elect_preferred();
  template <class Request>
  void ask(Request request);

  ClientContext& context_;
  const Plan& plan_;
  Rng rng_;
  std::uint64_t asked_ = 0, done_ = 0;
};

}  // namespace broker::sim
