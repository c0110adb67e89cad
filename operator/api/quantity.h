#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "broker/common/result.h"

namespace op::api {

/// Kubernetes quantities that stand for bytes: "50Mi", "100Gi", "1k", "1048576". Errors:
/// kInvalidRequest.
broker::Result<std::int64_t> parse_bytes(std::string_view text);
/// "90s", "10m", "2h", "365d", and sums of them ("1h30m").
broker::Result<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace op::api
