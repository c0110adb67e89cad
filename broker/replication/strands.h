#pragma once

#include <vector>

#include "broker/io/strand.h"

namespace broker::replication {

/// The strands that partitions live on, one per core, and the one that runs the node. Every call
/// into ReplicaManager and the coordinators comes from one of them.
class Strands {
 public:
  Strands(io::Strand& main, std::vector<io::Strand*> shards)
      : main_(&main), shards_(std::move(shards)) {
    CHECK(!shards_.empty());
  }

  std::size_t count() const { return shards_.size(); }
  io::Strand& main() const { return *main_; }
  io::Strand& shard(std::size_t index) const { return *shards_[index]; }

  /// The strand that runs this very code.
  io::Strand& current() const {
    for (io::Strand* strand : shards_)
      if (strand->is_current()) return *strand;
    CHECK(main_->is_current());
    return *main_;
  }

 private:
  io::Strand* main_;  // often one of the shards
  std::vector<io::Strand*> shards_;
};

/// Runs `task` on `strand`: now if it is this one, else posted.
template <class F>
void run_on(io::Strand& strand, F task) {
  if (strand.is_current())
    task();
  else
    strand.post(std::move(task));
}

}  // namespace broker::replication
