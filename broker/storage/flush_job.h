#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/storage/directory_health.h"

namespace broker::storage {

/// The blocking part of a flush. Owns what it needs, so it runs on any thread while the log goes on
/// appending.
struct FlushJob {
  /// Syncs the files, then the directory, then writes the epoch checkpoint. Stops at the first
  /// failure; every one is final.
  Result<void> run() const;

  Offset up_to;  // everything below is on disk once run() has succeeded
  io::FileSystem* fs = nullptr;
  std::vector<std::shared_ptr<io::File>> files;
  std::optional<std::string> directory;  // set when names in it changed
  std::optional<std::string> epochs;     // content of leader-epoch-checkpoint when it changed
  std::string epochs_path;
  DirectoryHealth* health = nullptr;  // of the log directory
};

}  // namespace broker::storage
