#pragma once

#include <string>

#include "operator/api/cluster.h"

namespace op::cli {

/// Follows the status of a Cluster through a rolling restart that was asked for. Pure: the caller
/// looks, and says how long it has been at it.
class RollWatch {
 public:
  /// `before`: the status when the restart was asked for.
  explicit RollWatch(const api::ClusterStatus& before) : before_(before) {}

  enum class Phase { kNotBegun, kRolling, kDone };
  /// Takes the status as it is now.
  void look(const api::ClusterStatus& status);

  Phase phase() const { return phase_; }
  std::int32_t done() const { return done_; }
  std::int32_t total() const { return total_; }
  /// What a person should know: who is restarted, what is waited for, or what is wrong.
  const std::string& message() const { return message_; }
  /// It cannot go on without somebody's help.
  bool is_stuck() const { return stuck_; }

 private:
  api::ClusterStatus before_;
  Phase phase_ = Phase::kNotBegun;
  std::int32_t done_ = 0;
  std::int32_t total_ = 0;
  std::string message_;
  bool stuck_ = false;
};

}  // namespace op::cli
