#pragma once

namespace broker::app {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace broker::app
