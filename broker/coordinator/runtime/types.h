#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"

namespace broker::coordinator {

/// As responses carry it.
inline std::int16_t wire(ErrorCode error) { return static_cast<std::int16_t>(error); }

/// One record of a coordinator's log. No value: a tombstone.
struct Record {
  Slice key;
  std::optional<Slice> value;

  bool operator==(const Record&) const = default;
};

/// Called once: with kNone when everything written up to then is committed, else with why not.
using CommitCallback = UniqueFunction<void(ErrorCode)>;

/// Where an answer goes; called once.
template <class Response>
using Reply = UniqueFunction<void(Response)>;

/// Whose transaction records belong to.
struct TransactionalProducer {
  ProducerId id;
  ProducerEpoch epoch;

  bool operator==(const TransactionalProducer&) const = default;
};

/// What an operation on a shard asks for. `records` go to the log as one batch and are replayed as
/// soon as they are there; `on_committed` run, in order, once the log is committed up to them, so
/// that no answer tells of what a failover could undo. Without records the callbacks wait for what
/// was written before: that is how reads see committed state only.
struct Output {
  std::vector<Record> records;
  std::vector<CommitCallback> on_committed;
  /// Set: the records are pending until the marker of this transaction. Only in operations of
  /// CoordinatorRuntime::run_in_transaction().
  std::optional<TransactionalProducer> transaction;
};

/// The time as an operation sees it: `now` for timeouts, `wall` for what is written.
struct Now {
  Instant now;
  WallMs wall = 0;
};

/// partition of an id: |Java's String.hashCode| mod `partitions`, over UTF-16 code units, with the
/// absolute value of INT_MIN being 0. `id` is UTF-8.
std::int32_t partition_for(std::string_view id, std::int32_t partitions);
std::int32_t java_hash_code(std::string_view utf8);

}  // namespace broker::coordinator
