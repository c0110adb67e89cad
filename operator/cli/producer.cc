#include "operator/cli/producer.h"

#include <algorithm>
#include <limits>
#include <thread>

#include "broker/common/rng.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/protocol/messages/produce_response.h"
#include "operator/cli/gather.h"
#include "operator/cli/partitioner.h"
#include "operator/cli/text.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
namespace protocol = broker::protocol;

constexpr auto kRetryPause = std::chrono::milliseconds(100);
constexpr std::int32_t kAcksTimeoutMs = 15'000;

/// Topics by name.
using NamedProduce = UpTo<protocol::ProduceRequest, 12>;

broker::WallMs wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<Producer> Producer::open(Brokers& brokers, const std::string& topic,
                                ProducerOptions options) {
  Producer producer(brokers, topic, options);
  RETURN_IF_ERROR(producer.learn_leaders());
  if (options.partition && !producer.leaders_.contains(*options.partition))
    return no_such_partition(topic, *options.partition, producer.leaders_.size());
  RETURN_IF_ERROR(producer.take_producer_id());
  broker::Rng rng(broker::Rng::os_seed());
  producer.sticky_ = static_cast<std::int32_t>(rng.next() % producer.leaders_.size());
  return producer;
}

Result<void> Producer::learn_leaders() {
  ASSIGN_OR_RETURN(const auto metadata, describe_topics(brokers_, {topic_}));
  leaders_.clear();
  for (const auto& topic : metadata.topics)
    for (const auto& partition : topic.partitions)
      leaders_[partition.partition_index] = partition.leader_id;
  if (leaders_.empty()) return Error{ErrorCode::kUnknownTopicOrPartition, topic_};
  return {};
}

Result<void> Producer::take_producer_id() {
  protocol::InitProducerIdRequest request;
  request.transactional_id.reset();
  request.transaction_timeout_ms = std::numeric_limits<std::int32_t>::max();
  for (const broker::Instant give_up = std::chrono::steady_clock::now() + options_.deadline;;) {
    const auto answer = brokers_.ask(request);
    const ErrorCode code =
        answer.ok() ? protocol::error_from_wire(answer->error_code) : answer.code();
    if (code == ErrorCode::kNone) {
      batch_.producer_id = broker::ProducerId{answer->producer_id};
      batch_.producer_epoch = broker::ProducerEpoch{answer->producer_epoch};
      batch_.base_sequence = 0;
      return {};
    }
    if (!may_pass(code) || std::chrono::steady_clock::now() > give_up)
      return answer.ok() ? explain({code, {}}, "writing to topic " + topic_) : answer.error();
    std::this_thread::sleep_for(kRetryPause);
  }
}

std::int32_t Producer::choose_partition(const NewRecord& record) {
  const auto count = static_cast<std::int32_t>(leaders_.size());
  if (options_.partition) return *options_.partition;
  if (record.key) return partition_of_key(*record.key, count);
  if (sticky_bytes_ >= kStickyBytes) {
    sticky_ = (sticky_ + 1) % count;
    sticky_bytes_ = 0;
  }
  sticky_bytes_ += record.value.size();
  return sticky_;
}

Producer::Lane& Producer::lane(std::int32_t partition) {
  return lanes_.try_emplace(partition, Lane{broker::record::BatchBuilder(batch_), 0, {}, {}})
      .first->second;
}

Result<void> Producer::close_batch(Lane& lane) {
  if (lane.builder.empty()) return {};
  lane.counts.push_back(lane.builder.record_count());
  ASSIGN_OR_RETURN(broker::Slice batch, lane.builder.build());
  lane.batches.push_back(std::move(batch));
  lane.next_sequence = broker::record::add_sequence(lane.next_sequence, lane.counts.back());
  broker::record::BatchOptions next = batch_;
  next.base_sequence = lane.next_sequence;
  lane.builder = broker::record::BatchBuilder(next);
  return {};
}

Result<void> Producer::send(const std::vector<NewRecord>& records) {
  const broker::WallMs now = wall_now();
  for (const NewRecord& record : records) {
    Lane& to = lane(choose_partition(record));
    const std::size_t key_bytes = record.key ? record.key->size() : 0;
    if (!to.builder.empty() &&
        to.builder.size_bytes_with(key_bytes, record.value.size()) > kBatchBytes)
      RETURN_IF_ERROR(close_batch(to));
    to.builder.add(now,
                   record.key ? std::optional(broker::record::as_bytes(*record.key)) : std::nullopt,
                   broker::record::as_bytes(record.value));
  }
  for (auto& [partition, to] : lanes_) RETURN_IF_ERROR(close_batch(to));
  broker::Instant give_up = std::chrono::steady_clock::now() + options_.deadline;
  const auto is_idle = [](const auto& entry) { return entry.second.batches.empty(); };
  while (!std::all_of(lanes_.begin(), lanes_.end(), is_idle)) {
    const std::int64_t before = written_;
    ASSIGN_OR_RETURN(const bool all_taken, send_round());
    const broker::Instant after = std::chrono::steady_clock::now();
    if (written_ > before) give_up = after + options_.deadline;
    if (all_taken) continue;
    if (after > give_up) {
      return Error{
          ErrorCode::kRequestTimedOut,
          "topic " + topic_ + " took no more records within " +
              std::to_string(
                  std::chrono::duration_cast<std::chrono::seconds>(options_.deadline).count()) +
              " s"};
    }
    std::this_thread::sleep_for(kRetryPause);
    const auto learned = learn_leaders();
    if (!learned.ok() && !may_pass(learned.code())) return learned;
  }
  return {};
}

Result<bool> Producer::send_round() {
  std::map<std::int32_t, NamedProduce> requests;
  std::map<std::int32_t, std::vector<std::int32_t>> asked;
  bool all_taken = true;
  for (const auto& [partition, to] : lanes_) {
    if (to.batches.empty()) continue;
    const std::int32_t leader = leaders_.contains(partition) ? leaders_.at(partition) : -1;
    if (leader < 0) {
      all_taken = false;
      continue;
    }
    NamedProduce& request = requests[leader];
    request.acks = -1;
    request.timeout_ms = kAcksTimeoutMs;
    if (request.topic_data.empty()) request.topic_data.emplace_back().name = topic_;
    auto& data = request.topic_data[0].partition_data.emplace_back();
    data.index = partition;
    data.records = to.batches.front();
    asked[leader].push_back(partition);
  }
  for (const auto& [leader, answer] : brokers_.ask_each(std::move(requests))) {
    if (!answer.ok()) {
      if (!may_pass(answer.code())) return answer.error();
      all_taken = false;
      continue;
    }
    for (const auto& topic : answer->responses) {
      for (const auto& partition : topic.partition_responses) {
        std::string message = partition.error_message.value_or("");
        ASSIGN_OR_RETURN(
            const bool taken,
            take_result(partition.index, protocol::error_from_wire(partition.error_code), message));
        all_taken = all_taken && taken;
      }
    }
  }
  return all_taken;
}

Result<bool> Producer::take_result(std::int32_t partition, ErrorCode code,
                                   const std::string& message) {
  const auto found = lanes_.find(partition);
  if (found == lanes_.end() || found->second.batches.empty())
    return Error{ErrorCode::kUnknownServerError, "an answer for what was not sent"};
  // A repetition of what was acknowledged already, though the answer was lost.
  if (code == ErrorCode::kNone || code == ErrorCode::kDuplicateSequenceNumber) {
    Lane& done = found->second;
    written_ += done.counts.front();
    done.batches.erase(done.batches.begin());
    done.counts.erase(done.counts.begin());
    return true;
  }
  if (may_pass(code)) return false;
  return explain({code, message}, "topic " + topic_);
}

}  // namespace op::cli
