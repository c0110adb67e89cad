#pragma once

#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/metadata/features.h"
#include "broker/metadata/record.h"
#include "broker/quorum/types.h"
#include "broker/storage/meta_properties.h"

namespace broker::quorum {

/// What `format` writes. Directory ids are drawn by the caller.
struct FormatOptions {
  std::string cluster_id;
  BrokerId node_id;
  struct Directory {
    std::string path;
    DirectoryId id;
  };
  std::vector<Directory> log_dirs;
  std::string metadata_log_dir;  // one of log_dirs
  std::int16_t metadata_version = metadata::kLatestMetadataVersion;
  /// The first voters (kraft.version 1). Empty: this node waits to be added
  /// (--no-initial-controllers).
  VoterSet initial_voters;
  /// UserScramCredentialRecords and the like, after the feature levels.
  metadata::MetadataRecords bootstrap_records;
  /// Leave directories alone that are formatted already for the same cluster and node; else that
  /// is an error.
  bool ignore_formatted = false;
};

/// Per log directory meta.properties and bootstrap.checkpoint; in the metadata directory also the
/// 0-0 checkpoint with KRaftVersion and Voters. meta.properties comes last: a directory that has it
/// is complete. Errors: kInvalidConfig (formatted already or for another cluster or node),
/// kKafkaStorageError.
Result<void> format_storage(io::FileSystem& fs, const FormatOptions& options, WallMs now);

/// The records of bootstrap.checkpoint in `log_dir`; if it is missing, the latest metadata.version
/// alone, as Kafka assumes.
Result<metadata::MetadataRecords> read_bootstrap_records(io::FileSystem& fs,
                                                         const std::string& log_dir);

}  // namespace broker::quorum
