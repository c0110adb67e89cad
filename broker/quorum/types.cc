#include "broker/quorum/types.h"

namespace broker::quorum {

const Voter* VoterSet::find(BrokerId id, const DirectoryId& directory) const {
  for (const Voter& voter : voters) {
    if (voter.id == id && voter.directory_id == directory) return &voter;
  }
  return nullptr;
}

const Voter* VoterSet::find(BrokerId id) const {
  for (const Voter& voter : voters) {
    if (voter.id == id) return &voter;
  }
  return nullptr;
}

}  // namespace broker::quorum
