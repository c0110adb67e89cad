#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/common/rng.h"
#include "broker/record/aborted_transactions.h"
#include "broker/sim/requests.h"

namespace broker::sim {

/// An idempotent producer with acks=all: one batch at a time for each partition, sent again until
/// it is acknowledged.
class Producer {
 public:
  Producer(ClientContext& context, std::int32_t id, int partitions, Duration max_pause,
           std::uint64_t seed);
  void start();
  /// Nothing is under way.
  bool idle() const;

 private:
  struct Lane {
    std::int32_t partition;
    std::int32_t next_sequence = 0;
    std::int64_t first_number = 0;  // of the batch under way
    int count = 0;                  // 0: none is under way
    int attempts = 0;
  };
  void init();
  void next_batch(Lane& lane);
  void send(Lane& lane);
  void retry(Lane& lane);
  void on_answer(Lane& lane, ErrorCode error, std::int64_t base_offset);
  Duration pause(Duration max);

  ClientContext& context_;
  const std::int32_t id_;
  const Duration max_pause_;
  Rng rng_;
  std::int64_t producer_id_ = -1;
  std::int16_t producer_epoch_ = -1;
  std::int64_t next_number_ = 0;
  std::vector<Lane> lanes_;
};

/// Reads every partition from its beginning, and goes on; with read_committed where transactions
/// write.
class Reader {
 public:
  Reader(ClientContext& context, int partitions, std::uint64_t seed);
  void start();
  Offset position(std::int32_t partition) const {
    return lanes_[static_cast<std::size_t>(partition)].position;
  }
  /// It has everything that was acknowledged, and no open transaction hides what follows.
  bool at_end(std::int32_t partition) const;

 private:
  struct Lane {
    std::int32_t partition;
    Offset position{0};
    bool sees_all = false;  // at the last answer
  };
  void fetch(Lane& lane);
  void again(Lane& lane, Duration max_pause, bool refresh);
  bool take(Lane& lane, const Slice& records, std::vector<record::AbortedTransaction> aborted);

  ClientContext& context_;
  Rng rng_;
  std::vector<Lane> lanes_;
};

/// A group without members whose offset one client moves on and looks up.
class OffsetKeeper {
 public:
  OffsetKeeper(ClientContext& context, std::string group, std::uint64_t seed);
  void start();
  bool idle() const { return idle_; }

 private:
  void find_coordinator();
  void step();
  void commit();
  void look_up();
  void again(bool lost);

  ClientContext& context_;
  const std::string group_;
  Rng rng_;
  std::optional<io::Endpoint> coordinator_;
  std::int64_t next_ = 1;
  bool look_first_ = false;
  bool idle_ = false;
};

}  // namespace broker::sim
