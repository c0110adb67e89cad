#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/record/batch_builder.h"
#include "operator/cli/brokers.h"

namespace op::cli {

struct NewRecord {
  std::optional<std::string> key;
  std::string value;
};

struct ProducerOptions {
  std::optional<std::int32_t> partition;                 // all to this one; else by key, or spread
  broker::Duration deadline = std::chrono::seconds(30);  // of one send(), retries included
};

/// Writes records to one topic, idempotently and with acks=all: what was sent again after a lost
/// answer is there once. Blocking.
class Producer {
 public:
  static constexpr std::size_t kBatchBytes = 256 << 10;  // beyond that a batch is closed
  static constexpr std::size_t kStickyBytes = 16 << 10;  // without keys: then another partition

  /// Errors: kUnknownTopicOrPartition (the topic is not created by this), kInvalidConfig for a
  /// partition that it does not have, those of the connection and of InitProducerId.
  static broker::Result<Producer> open(Brokers& brokers, const std::string& topic,
                                       ProducerOptions options);

  /// Returns when all of them are acknowledged. After an error some may have been written.
  broker::Result<void> send(const std::vector<NewRecord>& records);

  std::int64_t written() const { return written_; }
  /// Partitions that got something.
  std::size_t partitions_used() const { return lanes_.size(); }

 private:
  struct Lane {                            // of one partition
    broker::record::BatchBuilder builder;  // begins at offset 0, as a producer's batches do
    std::int32_t next_sequence = 0;        // of the batch after the one in the builder
    std::vector<broker::Slice> batches;    // closed, in order; the front one is on its way
    std::vector<std::int32_t> counts;
  };

  Producer(Brokers& brokers, std::string topic, ProducerOptions options)
      : brokers_(brokers), topic_(std::move(topic)), options_(options) {}
  broker::Result<void> learn_leaders();
  broker::Result<void> take_producer_id();
  std::int32_t choose_partition(const NewRecord& record);
  Lane& lane(std::int32_t partition);
  broker::Result<void> close_batch(Lane& lane);
  /// One batch of every partition that has some; whether all were taken.
  broker::Result<bool> send_round();
  broker::Result<bool> take_result(std::int32_t partition, broker::ErrorCode code,
                                   const std::string& message);

  Brokers& brokers_;
  const std::string topic_;
  const ProducerOptions options_;
  broker::record::BatchOptions batch_;
  std::map<std::int32_t, std::int32_t> leaders_;  // of every partition
  std::map<std::int32_t, Lane> lanes_;
  std::int32_t sticky_ = 0;
  std::size_t sticky_bytes_ = 0;
  std::int64_t written_ = 0;
};

}  // namespace op::cli
