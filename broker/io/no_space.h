#pragma once

#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace broker::io {

/// A full disk is the one failure of a file system that heals by itself. Every implementation says
/// so with these words at the end of the detail.
inline constexpr std::string_view kNoSpaceLeft = "No space left on device";

/// Only for what came straight from a File or FileSystem: nobody else ends a sentence like that.
inline bool is_no_space(const Error& error) {
  return error.code == ErrorCode::kKafkaStorageError &&
         std::string_view(error.detail).ends_with(kNoSpaceLeft);
}

}  // namespace broker::io
