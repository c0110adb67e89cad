#pragma once

#include <memory>
#include <string>

#include "broker/io/file.h"
#include "broker/io/strand.h"
#include "broker/quorum/metadata_log.h"
#include "broker/storage/file_cache.h"

namespace broker::quorum {

struct MetadataLogOptions {
  BrokerId node_id;
  std::string cluster_id;
  DirectoryId directory;       // of the metadata log directory
  std::string directory_path;  // <metadata.log.dir>/__cluster_metadata-0
  VoterEndpoint endpoint;      // where others reach this controller
  std::int64_t segment_bytes = 1073741824;
  std::int64_t segment_ms = 604800000;
  std::int64_t max_snapshot_record_bytes =
      20971520;  // metadata.log.max.record.bytes.between.snapshots
  std::int64_t max_snapshot_interval_ms = 3600000;  // 0 = never by time
  std::int64_t retention_bytes = 104857600;
  std::int64_t retention_ms = 604800000;
  std::int32_t fetch_max_bytes = 1048576;
  bool clean_shutdown = false;  // the log directory's marker: skip checking the tail
};

/// A quorum whose only voter is this node: it elects itself, and what is synced is committed.
/// Writes go to the log at once, one fsync at a time runs on `workers` and takes along everything
/// appended meanwhile.
std::unique_ptr<MetadataLog> make_single_voter_log(MetadataLogOptions options,
                                                   storage::FileCache& files, io::Strand& strand,
                                                   io::WorkerPool& workers);

}  // namespace broker::quorum
