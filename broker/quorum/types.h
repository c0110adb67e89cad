#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/metadata/image.h"
#include "broker/metadata/record.h"

namespace broker::quorum {

struct VoterEndpoint {
  std::string name;  // the controller listener's name
  std::string host;
  std::uint16_t port = 0;

  bool operator==(const VoterEndpoint&) const = default;
};

/// With kraft.version 1 a voter is its id and its directory: a re-formatted disk is another voter.
struct Voter {
  BrokerId id;
  DirectoryId directory;
  std::vector<VoterEndpoint> endpoints;

  bool operator==(const Voter&) const = default;
};
using VoterSet = std::vector<Voter>;  // sorted by id

/// Names `<end offset>-<epoch>.checkpoint`: everything below `end_offset`, the last of it written
/// in `epoch`.
struct SnapshotId {
  Offset end_offset;
  LeaderEpoch epoch;

  auto operator<=>(const SnapshotId&) const = default;
};

/// Committed records in the order of the log, one or more whole batches.
struct CommittedRecords {
  metadata::MetadataProvenance provenance;  // of the last one
  metadata::MetadataRecords records;        // control records are not among them
};

/// What a snapshot file holds.
struct LoadedSnapshot {
  SnapshotId id;
  metadata::MetadataProvenance provenance;
  metadata::MetadataRecords records;
};

}  // namespace broker::quorum
