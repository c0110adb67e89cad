#pragma once

namespace op::app {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace op::app
