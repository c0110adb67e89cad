#pragma once

#include <cstdint>
#include <string>

#include "operator/api/meta.h"

namespace op::plan {

/// "512 B", "3.2 GiB".
std::string human_bytes(std::int64_t bytes);
/// "40s", "4m10s", "2h5m".
std::string human_duration(std::int64_t seconds);
/// How much longer it takes if it goes on as it did since `started_at`; "" while nothing can be
/// said.
std::string estimate(std::int64_t done, std::int64_t total, const api::Timestamp& started_at,
                     const api::Timestamp& now);

}  // namespace op::plan
