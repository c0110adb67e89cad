#pragma once

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/metadata/image.h"
#include "broker/quorum/types.h"
#include "broker/storage/snapshot_file.h"

namespace broker::quorum {

struct LoadedSnapshot {
  storage::SnapshotId id;
  WallMs last_contained_log_timestamp = 0;
  VoterSet voters;  // kraft.version 0 and no voters where it has no such records
  metadata::MetadataRecords records;
};

/// Reads a whole snapshot (KIP-630). Errors: kSnapshotNotFound, kCorruptMessage.
Result<LoadedSnapshot> read_snapshot(io::FileSystem& fs, const std::string& directory,
                                     storage::SnapshotId id);
/// Reads the records of a file of batches such as bootstrap.checkpoint.
Result<metadata::MetadataRecords> read_records(io::FileSystem& fs, const std::string& path);

/// Writes `records` with header, voters and footer. Blocks: run it on a pool. `metadata_version`:
/// the level to encode for.
Result<void> write_snapshot(io::FileSystem& fs, const std::string& directory,
                            storage::SnapshotId id, WallMs last_contained_log_timestamp,
                            const VoterSet& voters, const metadata::MetadataRecords& records,
                            std::int16_t metadata_version, WallMs now);
/// The bytes of such a file, for one that has another name (bootstrap.checkpoint).
Result<Slices> snapshot_bytes(storage::SnapshotId id, WallMs last_contained_log_timestamp,
                              const VoterSet& voters, const metadata::MetadataRecords& records,
                              std::int16_t metadata_version, WallMs now);

}  // namespace broker::quorum
