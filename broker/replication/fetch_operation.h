#pragma once

#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "broker/replication/partition_table.h"
#include "broker/replication/strands.h"
#include "broker/replication/types.h"

namespace broker::replication {

/// One Fetch on its way. Reads in rounds: each round reads every partition on its strand and
/// leaves a waiter there in the same turn, so that no append goes unnoticed; progress begins the
/// next round, the deadline the last. Lives on the strand of the call; its plan never changes, so
/// the partitions' strands read it too.
class FetchOperation final : public std::enable_shared_from_this<FetchOperation> {
 public:
  /// Where the plan's partitions are at home.
  struct Part {
    PartitionTable* table = nullptr;
    std::vector<std::size_t> indexes;  // into the plan's partitions
  };

  FetchOperation(io::Strand& origin, FetchPlan plan, FetchCallback callback);
  void start(std::vector<Part> parts);

 private:
  class ShardFetch;
  using Results = std::vector<std::pair<std::size_t, FetchResult>>;

  void begin_round();
  void on_results(Results results);
  void on_progress();
  void on_deadline();
  bool has_enough() const;
  void finish();
  void stay_within_max_bytes();

  io::Strand& origin_;
  const FetchPlan plan_;
  FetchCallback callback_;

  std::vector<std::shared_ptr<ShardFetch>> shards_;
  std::vector<FetchResult> results_;
  std::size_t outstanding_ = 0;  // shards that have not answered in this round
  bool last_round_ = false;      // answered whatever it brings
  bool waits_ = false;           // this round may leave waiters at the partitions
  bool progress_ = false;        // since this round began
  io::TimerId deadline_ = io::kNoTimer;
};

}  // namespace broker::replication
