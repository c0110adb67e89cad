#include "broker/quorum/format.h"

#include "broker/metadata/features.h"
#include "broker/protocol/messages/feature_level_record.h"
#include "broker/quorum/snapshot.h"
#include "broker/storage/meta_properties.h"

namespace broker::quorum {
namespace {

constexpr std::string_view kBootstrapFile = "/bootstrap.checkpoint";

protocol::FeatureLevelRecord feature_level(std::string_view name, std::int16_t level) {
  protocol::FeatureLevelRecord record;
  record.name = std::string(name);
  record.feature_level = level;
  return record;
}

/// metadata.version always; features at level 0 are not written, as in Kafka.
metadata::MetadataRecords bootstrap_records(const FormatOptions& options) {
  metadata::MetadataRecords records;
  records.push_back(feature_level(metadata::kMetadataVersionFeature, options.metadata_version));
  auto levels = metadata::initial_feature_levels(options.metadata_version);
  for (const auto& [name, level] : options.features) levels[name] = level;
  for (const auto& [name, level] : levels)
    if (level > 0) records.push_back(feature_level(name, level));
  for (const auto& credential : options.scram_credentials) records.push_back(credential);
  return records;
}

std::string joined(const Slices& pieces) {
  std::string bytes;
  for (const Slice& piece : pieces) bytes += piece.view();
  return bytes;
}

Result<void> write_bootstrap(io::FileSystem& fs, const std::string& directory,
                             const FormatOptions& options, WallMs now) {
  ASSIGN_OR_RETURN(const Slices bytes,
                   snapshot_bytes({Offset{0}, LeaderEpoch{0}}, 0, VoterSet{},
                                  bootstrap_records(options), options.metadata_version, now));
  return io::write_file_atomically(fs, directory + std::string(kBootstrapFile), joined(bytes));
}

Result<void> write_initial_voters(io::FileSystem& fs, const FormatOptions& options, WallMs now) {
  const std::string directory = options.metadata_log_dir + "/" + std::string(kMetadataDirectory);
  RETURN_IF_ERROR(fs.create_directories(directory));
  return write_snapshot(fs, directory, {Offset{0}, LeaderEpoch{0}}, 0,
                        VoterSet{1, options.initial_voters}, {}, options.metadata_version, now);
}

/// The id that the command line or the cluster's declaration gave this disk, if it is an initial
/// voter's.
DirectoryId directory_id_for(const FormatOptions& options, const std::string& directory, Rng& rng) {
  if (directory == options.metadata_log_dir && options.metadata_directory_id) {
    return *options.metadata_directory_id;
  }
  return Uuid::random(rng);
}

}  // namespace

Result<void> format_storage(io::FileSystem& fs, const FormatOptions& options, Rng& rng,
                            WallMs now) {
  for (const auto& [name, level] : options.features)
    RETURN_IF_ERROR(metadata::check_initial_feature(options.metadata_version, name, level));
  for (const std::string& directory : options.log_dirs) {
    RETURN_IF_ERROR(fs.create_directories(directory));
    ASSIGN_OR_RETURN(const auto existing, storage::read_meta_properties(fs, directory));
    if (existing) {
      if (existing->cluster_id == options.cluster_id && existing->node_id == options.node_id) {
        continue;
      }
      return Error{ErrorCode::kInconsistentClusterId,
                   directory + " belongs to node " + std::to_string(existing->node_id.value) +
                       " of cluster " + existing->cluster_id + ", not to node " +
                       std::to_string(options.node_id.value) + " of cluster " + options.cluster_id};
    }
    RETURN_IF_ERROR(write_bootstrap(fs, directory, options, now));
    if (directory == options.metadata_log_dir && !options.initial_voters.empty()) {
      RETURN_IF_ERROR(write_initial_voters(fs, options, now));
    }
    // Last: a directory with meta.properties is formatted, one without is formatted again.
    RETURN_IF_ERROR(storage::write_meta_properties(
        fs, directory,
        {options.cluster_id, options.node_id, directory_id_for(options, directory, rng)}));
  }
  return {};
}

Result<metadata::MetadataRecords> read_bootstrap_records(io::FileSystem& fs,
                                                         const std::string& metadata_log_dir) {
  const std::string path = metadata_log_dir + std::string(kBootstrapFile);
  if (!fs.exists(path)) {
    return metadata::MetadataRecords{
        feature_level(metadata::kMetadataVersionFeature, metadata::kLatestMetadataVersion)};
  }
  return read_records(fs, path);
}

}  // namespace broker::quorum
