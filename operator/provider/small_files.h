#pragma once

#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace op::provider {

// Files and directories for this user only: they hold keys and passwords. Errors:
// kKafkaStorageError with path and reason; kResourceNotFound where there is none.

broker::Result<std::string> read_small_file(const std::string& path);
/// The old or the new content is there, never a mixture; the temporary name begins with a dot.
broker::Result<void> replace_small_file(const std::string& path, std::string_view content);
/// The same without waiting for the disk: for what is only shown and can be written again.
broker::Result<void> show_small_file(const std::string& path, std::string_view content);
/// Writes only if the content differs. Returns whether it did.
broker::Result<bool> update_small_file(const std::string& path, std::string_view content);
/// With its parents.
broker::Result<void> make_private_directory(const std::string& path);

}  // namespace op::provider
