#pragma once

#include <optional>
#include <string>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/file.h"

namespace broker::quorum {

/// The file `quorum-state`: what a node must remember of elections. Durable before it answers a
/// vote or acts in an epoch.
struct ElectionState {
  std::optional<BrokerId> leader;
  LeaderEpoch epoch{0};
  std::optional<BrokerId> voted;
  DirectoryId voted_directory;

  bool operator==(const ElectionState&) const = default;
};

/// One line of JSON in version 1 of QuorumStateData (kraft.version 1); version 0 is read too.
std::string to_text(const ElectionState& state);
/// Errors: kCorruptMessage.
Result<ElectionState> parse_election_state(std::string_view text);

/// nullopt when the file is missing: nothing was ever voted or led from this disk.
Result<std::optional<ElectionState>> read_election_state(io::FileSystem& fs,
                                                         const std::string& directory);
Result<void> write_election_state(io::FileSystem& fs, const std::string& directory,
                                  const ElectionState& state);

}  // namespace broker::quorum
