#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/rng.h"
#include "broker/io/file.h"
#include "broker/quorum/types.h"

namespace broker::quorum {

struct FormatOptions {
  std::string cluster_id;  // 22 characters of URL-safe base64, or any text Kafka takes
  BrokerId node_id;
  std::vector<std::string> log_dirs;
  std::string metadata_log_dir;  // one of log_dirs
  /// The initial quorum. Empty: this node joins an existing one (--no-initial-controllers).
  std::vector<Voter> initial_voters;
  /// The directory id of the metadata directory where it was issued beforehand (an initial voter);
  /// else drawn.
  std::optional<DirectoryId> metadata_directory_id;
  std::int16_t metadata_version = 30;
  /// Levels other than those of metadata::initial_feature_levels(); 0: not finalised.
  std::map<std::string, std::int16_t> features;
  metadata::MetadataRecords
      scram_credentials;  // UserScramCredentialRecords, for SCRAM between brokers
};

/// Prepares empty log directories as Kafka 4.3's `kafka-storage format` does: meta.properties and
/// bootstrap.checkpoint in each, and the 0-0 checkpoint with kraft.version and voters in the
/// metadata directory. A directory that is formatted for the same cluster and node is left as it
/// is. Errors: kInconsistentClusterId for one of another cluster or node, kInvalidConfig for a
/// feature level that this software does not have.
Result<void> format_storage(io::FileSystem& fs, const FormatOptions& options, Rng& rng, WallMs now);

/// The records that the first active controller writes; features at metadata.version 4.3 when the
/// file is missing.
Result<metadata::MetadataRecords> read_bootstrap_records(io::FileSystem& fs,
                                                         const std::string& metadata_log_dir);

inline constexpr std::string_view kMetadataDirectory = "__cluster_metadata-0";

}  // namespace broker::quorum
