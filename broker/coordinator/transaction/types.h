#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/common/error_code.h"
#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/record/batch.h"

namespace broker::coordinator::transaction {

/// As the byte in TransactionLogValue. Kafka's Dead (6) and PrepareEpochFence (7) live in memory
/// only; here a record is decided and replayed in one step, so nothing is ever in them.
enum class State : std::int8_t {
  kEmpty = 0,
  kOngoing = 1,
  kPrepareCommit = 2,
  kPrepareAbort = 3,
  kCompleteCommit = 4,
  kCompleteAbort = 5,
};
/// "PrepareCommit", as DescribeTransactions and ListTransactions say it.
std::string_view state_name(State state);
std::optional<State> parse_state(std::int8_t byte);
std::optional<State> parse_state_name(std::string_view name);

/// How a client ends its transactions: from 2 on every EndTxn bumps the epoch (KIP-890).
using TransactionVersion = std::int16_t;
inline constexpr TransactionVersion kEpochBumpVersion = 2;

inline constexpr ProducerId kNoProducer{record::kNoProducerId};
inline constexpr ProducerEpoch kNoEpoch{record::kNoProducerEpoch};

struct ProducerIdAndEpoch {
  ProducerId id = kNoProducer;
  ProducerEpoch epoch = kNoEpoch;

  bool operator==(const ProducerIdAndEpoch&) const = default;
};

/// What a transactional id's newest record says.
struct Transaction {
  ProducerIdAndEpoch producer;
  ProducerId previous_id = kNoProducer;  // whose epochs were used up
  ProducerId next_id = kNoProducer;      // takes over when the transaction is complete
  std::chrono::milliseconds timeout{0};
  State state = State::kEmpty;
  std::set<TopicPartition> partitions;
  WallMs last_update = -1;
  WallMs start = -1;  // -1 in Empty
  TransactionVersion client_version = 0;

  bool is_prepared() const {
    return state == State::kPrepareCommit || state == State::kPrepareAbort;
  }
  /// One epoch is kept back, so that this producer can still be fenced.
  bool is_epoch_exhausted() const { return producer.epoch.value >= INT16_MAX - 1; }
  bool operator==(const Transaction&) const = default;
};

/// Markers that a prepared transaction asks for, by its coordinator.
struct MarkerWork {
  std::string transactional_id;
  std::int32_t coordinator_partition = 0;  // of __transaction_state
  ProducerIdAndEpoch producer;
  bool commit = false;
  LeaderEpoch coordinator_epoch;
  TransactionVersion version = 0;
  std::set<TopicPartition> partitions;
};

}  // namespace broker::coordinator::transaction
