#pragma once

#include <map>
#include <string>
#include <string_view>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/file.h"

namespace broker::storage {

/// The content of recovery-point-, replication-, log-start- and cleaner-offset-checkpoint:
/// "0\n<n>\n<topic> <partition> <offset>\n"...
using OffsetCheckpoint = std::map<TopicPartition, Offset>;

std::string to_text(const OffsetCheckpoint& checkpoint);
/// Errors: kKafkaStorageError on a wrong version, count or line.
Result<OffsetCheckpoint> parse_offset_checkpoint(std::string_view text);

/// Empty when there is no such file.
Result<OffsetCheckpoint> read_offset_checkpoint(io::FileSystem& fs, const std::string& path);
Result<void> write_offset_checkpoint(io::FileSystem& fs, const std::string& path,
                                     const OffsetCheckpoint& checkpoint);

}  // namespace broker::storage
