#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/io/transport.h"
#include "broker/metadata/record.h"

namespace broker::quorum {

/// Who leads, as far as this node knows. `endpoint`: of its controller listener, if known.
struct LeaderAndEpoch {
  std::optional<BrokerId> leader;
  LeaderEpoch epoch{0};
  std::optional<io::Endpoint> endpoint;

  bool operator==(const LeaderAndEpoch&) const = default;
};

struct VoterListener {
  std::string name;
  io::Endpoint endpoint;

  auto operator<=>(const VoterListener&) const = default;
};

/// A member of the quorum is a node id with one disk: a new disk is another voter (KIP-853). With
/// kraft.version 0 disks do not count and the directory id is zero.
struct Voter {
  BrokerId id;
  DirectoryId directory_id;
  std::string listener;  // e.g. "CONTROLLER"; the others reach it there
  io::Endpoint endpoint;
  std::vector<VoterListener> more_listeners{};
  std::int16_t min_kraft_version = 0;
  std::int16_t max_kraft_version = 1;

  bool operator==(const Voter&) const = default;
};

/// The finalised kraft.version and the voters it describes; the latest ones in snapshot or log
/// count, committed or not.
struct VoterSet {
  std::int16_t kraft_version = 0;
  std::vector<Voter> voters;

  const Voter* find(BrokerId id, const DirectoryId& directory) const;
  const Voter* find(BrokerId id) const;
  bool operator==(const VoterSet&) const = default;
};

/// Records of one batch of the log that a majority has on disk. A control batch has none, but its
/// offsets count.
struct CommittedRecords {
  Offset base_offset;
  Offset last_offset;
  LeaderEpoch epoch;
  WallMs timestamp = 0;
  metadata::MetadataRecords records;  // records[i] is at base_offset + i
};

}  // namespace broker::quorum
