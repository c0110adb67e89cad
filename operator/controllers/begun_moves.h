#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/time.h"
#include "broker/metadata/image.h"
#include "operator/plan/replica_moves.h"

namespace op::controllers {

/// Moves that were asked for and that the image does not show yet. Thread-safe.
class BegunMoves {
 public:
  void add(const std::vector<plan::Move>& moves);
  void forget(const plan::Move& move);
  /// Whether there are any that the image does not show. What does not show for long never will.
  bool pending(const broker::metadata::MetadataImage& image);

 private:
  static constexpr std::chrono::seconds kForgetAfter{30};

  struct Begun {
    std::vector<std::int32_t> replicas;
    broker::Instant at{};
  };
  std::mutex mutex_;
  std::map<std::pair<std::string, std::int32_t>, Begun> moves_;
};

}  // namespace op::controllers
