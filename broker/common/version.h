#pragma once

namespace broker {

/// Of broker, operator and command: they are one release.
inline constexpr const char* kVersion = "0.1.0";

}  // namespace broker
