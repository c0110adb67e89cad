#pragma once

#include <cstdint>
#include <string>

#include "operator/api/meta.h"

namespace op::api {

/// How far moves are.
struct MoveProgress {
  std::int64_t moved_partitions = 0;
  std::int64_t total_partitions = 0;
  std::int64_t moved_bytes = 0;
  std::int64_t total_bytes = 0;
  std::int64_t skipped = 0;  // partitions that were deleted, or changed by somebody else
  Timestamp started_at;
  Timestamp observed_at;
  Timestamp leading_since;  // all is moved, and preferred leaders are being elected
  std::string eta;          // "4m10s"; "" while nothing can be said
  std::string waiting_for;

  bool operator==(const MoveProgress&) const = default;
};

}  // namespace op::api
