#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/record/validate.h"

namespace broker::replication {

/// Names a partition of one incarnation of a topic. The id decides; the name is for logs, metrics
/// and answers. Callers take both from the metadata image.
struct TopicIdPartition {
  TopicId topic_id;
  std::string topic;
  std::int32_t partition = 0;

  auto operator<=>(const TopicIdPartition&) const = default;
};

/// "orders-3".
inline std::string to_string(const TopicIdPartition& at) {
  return at.topic + "-" + std::to_string(at.partition);
}

/// Who leads, as far as this broker knows: filled with kNotLeaderOrFollower and
/// kFencedLeaderEpoch (KIP-951).
struct CurrentLeader {
  BrokerId leader{-1};
  LeaderEpoch epoch{-1};

  bool operator==(const CurrentLeader&) const = default;
};

enum class Isolation : std::int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

using record::AppendOrigin;
using record::RecordError;

/// The wire's acks.
enum class Acks : std::int16_t { kAll = -1, kNone = 0, kLeader = 1 };
/// Errors: kInvalidRequiredAcks for anything but -1, 0 and 1.
Result<Acks> parse_acks(std::int16_t acks);

// --- Produce

struct ProduceResult {
  ErrorCode error = ErrorCode::kNone;
  std::string message;
  Offset base_offset{-1};
  WallMs log_append_time = -1;  // -1 unless message.timestamp.type is LogAppendTime
  Offset log_start_offset{-1};
  std::vector<RecordError> record_errors;
  CurrentLeader current_leader;
};

/// What a partition asks the transaction coordinator before the first batch of a transaction
/// (KIP-890).
struct TransactionCheck {
  std::string transactional_id;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  bool add_partition = false;    // to the transaction; else it must belong to it already
  bool knows_abortable = false;  // the client understands kTransactionAbortable
};

struct ProducePartition {
  TopicIdPartition at;
  Slice records;  // one or more record batches, as sent
};

struct ProducePlan {
  Acks acks = Acks::kAll;
  std::chrono::milliseconds timeout{30'000};  // how long acks=all waits for the ISR
  std::vector<ProducePartition> partitions;
  /// Of a transactional producer; whose id and epoch is in the batches.
  std::optional<TransactionCheck> transaction;
};

/// Results stand in the order of the plan's partitions.
using ProduceCallback = UniqueFunction<void(std::vector<ProduceResult>)>;

// --- Fetch

/// Consumers are served up to the high watermark (or the last stable offset); replicas up to the
/// log end, and what they fetch tells how far they are.
struct Reader {
  BrokerId replica{-1};  // -1: a consumer
  BrokerEpoch replica_epoch{-1};
  bool from_any_replica = false;  // a consumer that may read from a follower (Fetch version 11)
  /// A consumer whose connection sends out of files (Slice::stored); for what is committed alone.
  bool takes_file_ranges = false;

  bool is_replica() const { return replica.value >= 0; }
};

struct FetchPosition {
  Offset offset;
  std::optional<LeaderEpoch> current_leader_epoch;  // checked against the partition's (KIP-320)
  std::optional<LeaderEpoch> last_fetched_epoch;    // diverging logs are reported (KIP-595)
};

struct FetchPartition {
  TopicIdPartition at;
  FetchPosition position;
  std::int32_t max_bytes = 1 << 20;
};

struct FetchPlan {
  Reader reader;
  Isolation isolation = Isolation::kReadUncommitted;
  std::chrono::milliseconds max_wait{500};
  std::int32_t min_bytes = 1;
  std::int32_t max_bytes = 50 << 20;
  std::string rack;  // of a consumer that may read from a follower in its rack (KIP-392)
  std::vector<FetchPartition> partitions;
};

struct AbortedTransaction {
  ProducerId producer_id;
  Offset first_offset;

  bool operator==(const AbortedTransaction&) const = default;
};

struct EpochEndOffset {
  LeaderEpoch epoch{-1};
  Offset end_offset{-1};

  bool operator==(const EpochEndOffset&) const = default;
};

struct FetchResult {
  ErrorCode error = ErrorCode::kNone;
  Offset high_watermark{-1};
  Offset last_stable_offset{-1};
  Offset log_start_offset{-1};
  std::vector<AbortedTransaction> aborted;  // only for kReadCommitted
  Slice records;                            // whole batches; may begin before the asked offset
  std::optional<EpochEndOffset> diverging_epoch;
  CurrentLeader current_leader;
  /// Where the consumer should rather read; there are no records then.
  std::optional<BrokerId> preferred_read_replica;
};

/// Results stand in the order of the plan's partitions.
using FetchCallback = UniqueFunction<void(std::vector<FetchResult>)>;

// --- ListOffsets, OffsetForLeaderEpoch, DeleteRecords

inline constexpr std::int64_t kLatestTimestamp = -1;
inline constexpr std::int64_t kEarliestTimestamp = -2;
inline constexpr std::int64_t kMaxTimestamp = -3;
inline constexpr std::int64_t kEarliestLocalTimestamp = -4;
inline constexpr std::int64_t kLatestTieredTimestamp = -5;

struct ListOffsetsPartition {
  TopicIdPartition at;
  std::optional<LeaderEpoch> current_leader_epoch;
  std::int64_t timestamp = kLatestTimestamp;  // a time, or one of the constants above
};

struct ListOffsetsPlan {
  Reader reader;
  Isolation isolation = Isolation::kReadUncommitted;
  std::vector<ListOffsetsPartition> partitions;
};

/// offset -1 without an error: no record is that young.
struct ListOffsetsResult {
  ErrorCode error = ErrorCode::kNone;
  std::int64_t timestamp = -1;
  Offset offset{-1};
  LeaderEpoch leader_epoch{-1};
};
using ListOffsetsCallback = UniqueFunction<void(std::vector<ListOffsetsResult>)>;

struct EpochEndPartition {
  TopicIdPartition at;
  std::optional<LeaderEpoch> current_leader_epoch;
  LeaderEpoch leader_epoch;
};
struct EpochEndResult {
  ErrorCode error = ErrorCode::kNone;
  EpochEndOffset end;
};
using EpochEndCallback = UniqueFunction<void(std::vector<EpochEndResult>)>;

struct DeleteRecordsPartition {
  TopicIdPartition at;
  Offset before_offset;  // -1: up to the high watermark
};
struct DeleteRecordsResult {
  ErrorCode error = ErrorCode::kNone;
  Offset low_watermark{-1};
};
using DeleteRecordsCallback = UniqueFunction<void(std::vector<DeleteRecordsResult>)>;

}  // namespace broker::replication
