#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/file.h"

namespace broker::storage {

/// meta.properties: whose log directory this is. Version 1 is written; version 0 (broker.id, before
/// KRaft) is read.
struct MetaProperties {
  std::string cluster_id;
  BrokerId node_id;
  std::optional<DirectoryId> directory_id;  // missing in directories formatted before Kafka 3.7

  bool operator==(const MetaProperties&) const = default;
};

std::string to_text(const MetaProperties& properties);
/// Errors: kInvalidConfig naming the key that is missing or wrong.
Result<MetaProperties> parse_meta_properties(std::string_view text);

/// nullopt when `directory` has none: it was not formatted.
Result<std::optional<MetaProperties>> read_meta_properties(io::FileSystem& fs,
                                                           const std::string& directory);
Result<void> write_meta_properties(io::FileSystem& fs, const std::string& directory,
                                   const MetaProperties& properties);

}  // namespace broker::storage
