#include "broker/sim/workload.h"

#include <algorithm>

#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/protocol/messages/produce_response.h"
#include "broker/record/batch_builder.h"
#include "broker/record/record_iterator.h"
#include "broker/sim/transactions.h"

namespace broker::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

// ---- producer

Producer::Producer(ClientContext& context, std::int32_t id, int partitions, Duration max_pause,
                   std::uint64_t seed)
    : context_(context), id_(id), max_pause_(max_pause), rng_(seed) {
  for (int i = 0; i < partitions; ++i) lanes_.push_back({i});
}

void Producer::start() { init(); }

bool Producer::idle() const {
  for (const Lane& lane : lanes_) {
    if (lane.count > 0) return false;
  }
  return true;
}

void Producer::init() {
  protocol::InitProducerIdRequest request;
  request.transactional_id = std::nullopt;
  const io::Endpoint node = context_.router.any_node();
  context_.router.call<protocol::InitProducerIdRequest>(
      node, std::move(request),
      [this, node](Result<protocol::InitProducerIdResponse> response) {
        if (!response.ok() || response->error_code != 0) {
          if (!response.ok()) context_.router.forget(node);
          if (context_.stop) return;
          context_.strand.call_after(draw(rng_, kMaxBackoff), [this] { init(); });
          return;
        }
        producer_id_ = response->producer_id;
        producer_epoch_ = response->producer_epoch;
        for (Lane& lane : lanes_) next_batch(lane);
      },
      kRequestTimeout);
}

void Producer::next_batch(Lane& lane) {
  if (context_.stop) return;
  context_.strand.call_after(draw(rng_, max_pause_), [this, &lane] {
    if (context_.stop) return;
    lane.count = 1 + static_cast<int>(rng_.below(4));
    lane.first_number = next_number_;
    lane.attempts = 0;
    next_number_ += lane.count;
    send(lane);
  });
}

void Producer::send(Lane& lane) {
  const TopicPartition tp{context_.topic, lane.partition};
  const auto leader = context_.router.leader(tp);
  if (!leader) return retry(lane);
  record::BatchBuilder builder({.producer_id = ProducerId{producer_id_},
                                .producer_epoch = ProducerEpoch{producer_epoch_},
                                .base_sequence = lane.next_sequence});
  const std::string value(20 + (lane.first_number * 37) % 200, 'v');
  for (int i = 0; i < lane.count; ++i) {
    builder.add(context_.strand.wall_now(), to_string(RecordId{id_, lane.first_number + i}), value);
  }
  protocol::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 3000;
  request.topic_data.push_back({context_.topic, leader->topic_id, {}});
  request.topic_data.back().partition_data.push_back({lane.partition, builder.build().value()});
  ++lane.attempts;
  context_.router.call<protocol::ProduceRequest>(
      leader->endpoint, std::move(request),
      [this, &lane, node = leader->endpoint](Result<protocol::ProduceResponse> response) {
        if (!response.ok()) {
          if (response.code() == ErrorCode::kRequestTimedOut) context_.router.forget(node);
          return retry(lane);
        }
        const auto& partition = response->responses.front().partition_responses.front();
        on_answer(lane, static_cast<ErrorCode>(partition.error_code), partition.base_offset);
      },
      kRequestTimeout);
}

void Producer::retry(Lane& lane) {
  context_.strand.call_after(draw(rng_, kMaxBackoff), [this, &lane] {
    context_.router.refresh(context_.topic, [this, &lane] { send(lane); });
  });
}

void Producer::on_answer(Lane& lane, ErrorCode error, std::int64_t base_offset) {
  switch (error) {
    case ErrorCode::kNone:
      context_.history.acknowledged({context_.topic, lane.partition}, Offset{base_offset},
                                    {id_, lane.first_number}, lane.count);
      break;
    case ErrorCode::kDuplicateSequenceNumber:  // acknowledged, but not where
      break;
    case ErrorCode::kOutOfOrderSequenceNumber:
    case ErrorCode::kUnknownProducerId:
    case ErrorCode::kInvalidProducerEpoch:
      return context_.history.violation(
          "producer " + std::to_string(id_) + " to partition " + std::to_string(lane.partition) +
          ", sequence " + std::to_string(lane.next_sequence) + ": " +
          std::string(error_name(error)) + ": what it was promised is not known there");
    default:
      return retry(lane);
  }
  lane.next_sequence += lane.count;
  lane.count = 0;
  next_batch(lane);
}

// ---- reader

Reader::Reader(ClientContext& context, int partitions, std::uint64_t seed)
    : context_(context), rng_(seed) {
  for (int i = 0; i < partitions; ++i) lanes_.push_back({i});
}

bool Reader::at_end(std::int32_t partition) const {
  const Lane& lane = lanes_[static_cast<std::size_t>(partition)];
  return lane.sees_all &&
         lane.position >= context_.history.acknowledged_end({context_.topic, partition});
}

void Reader::start() {
  for (Lane& lane : lanes_) again(lane, kMaxBackoff, true);
}

void Reader::again(Lane& lane, Duration max_pause, bool refresh) {
  context_.strand.call_after(draw(rng_, max_pause), [this, &lane, refresh] {
    if (!refresh) return fetch(lane);
    context_.router.refresh(context_.topic, [this, &lane] { fetch(lane); });
  });
}

void Reader::fetch(Lane& lane) {
  const auto leader = context_.router.leader({context_.topic, lane.partition});
  if (!leader) return again(lane, kMaxBackoff, true);
  protocol::FetchRequest request;
  request.max_wait_ms = 1000;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  request.isolation_level = context_.transactions != nullptr ? 1 : 0;
  protocol::FetchRequest::FetchPartition partition;
  partition.partition = lane.partition;
  partition.fetch_offset = lane.position.value;
  partition.current_leader_epoch = leader->leader_epoch;
  partition.partition_max_bytes = 1 << 20;
  request.topics.push_back({context_.topic, leader->topic_id, {std::move(partition)}});
  context_.router.call<protocol::FetchRequest>(
      leader->endpoint, std::move(request),
      [this, &lane, node = leader->endpoint,
       epoch = LeaderEpoch{leader->leader_epoch}](Result<protocol::FetchResponse> response) {
        if (!response.ok()) {
          if (response.code() == ErrorCode::kRequestTimedOut) context_.router.forget(node);
          return again(lane, kMaxBackoff, true);
        }
        if (response->error_code != 0 || response->responses.empty()) {
          return again(lane, kMaxBackoff, true);
        }
        const auto& data = response->responses.front().partitions.front();
        const auto error = static_cast<ErrorCode>(data.error_code);
        if (error == ErrorCode::kOffsetOutOfRange) {
          return context_.history.out_of_range({context_.topic, lane.partition}, lane.position);
        }
        if (error != ErrorCode::kNone) return again(lane, kMaxBackoff, true);
        const TopicPartition tp{context_.topic, lane.partition};
        context_.history.high_watermark(tp, epoch, Offset{data.high_watermark});
        context_.history.last_stable_offset(tp, epoch, Offset{data.last_stable_offset});
        lane.sees_all = data.last_stable_offset == data.high_watermark;
        std::vector<record::AbortedTransaction> aborted;
        if (data.aborted_transactions) {
          for (const auto& each : *data.aborted_transactions)
            aborted.push_back({each.producer_id, each.first_offset});
        }
        if (data.records && !take(lane, *data.records, std::move(aborted))) return;
        again(lane, milliseconds(data.records && !data.records->empty() ? 20 : 1), false);
      },
      kRequestTimeout);
}

bool Reader::take(Lane& lane, const Slice& records,
                  std::vector<record::AbortedTransaction> aborted) {
  const TopicPartition tp{context_.topic, lane.partition};
  record::AbortedTransactions transactions(std::move(aborted));
  record::BatchReader reader(records);
  while (true) {
    const auto batch = reader.next();
    if (!batch.ok() || !*batch) break;  // one that was cut off
    if (const auto good = record::check_batch((*batch)->bytes.span()); !good.ok()) {
      context_.history.violation(to_string(tp) +
                                 ": a corrupt batch was served: " + good.error().detail);
      return false;
    }
    const bool is_aborted = transactions.covers(**batch);
    const auto header = (*batch)->header();
    if (header.is_control() || is_aborted) {
      lane.position = std::max(lane.position, header.next_offset());
      continue;
    }
    auto records_of_batch = record::RecordIterator::open(**batch);
    while (records_of_batch.ok()) {
      const auto record = records_of_batch->next();
      if (!record.ok() || !*record) break;
      if ((*record)->offset < lane.position) continue;  // a fetch begins at a batch
      const auto key = (*record)->key.value_or(record::Bytes{});
      const auto id = parse_record_id({reinterpret_cast<const char*>(key.data()), key.size()});
      if (!id) {
        context_.history.violation(to_string(tp) + ": a record that nobody wrote");
        return false;
      }
      context_.history.read(tp, (*record)->offset, lane.position, *id);
      if (context_.transactions != nullptr) context_.transactions->read(tp, *id);
      lane.position = (*record)->offset + 1;
    }
  }
  return !context_.history.first_violation();
}

// ---- offsets

OffsetKeeper::OffsetKeeper(ClientContext& context, std::string group, std::uint64_t seed)
    : context_(context), group_(std::move(group)), rng_(seed) {}

void OffsetKeeper::start() { step(); }

void OffsetKeeper::again(bool lost) {
  if (lost && coordinator_) {
    context_.router.forget(*coordinator_);
    coordinator_.reset();
  }
  context_.strand.call_after(draw(rng_, kMaxBackoff), [this] { step(); });
}

void OffsetKeeper::step() {
  if (!coordinator_) return find_coordinator();
  if (look_first_ || rng_.below(6) == 0) return look_up();
  if (context_.stop) {
    idle_ = true;
    return;
  }
  commit();
}

void OffsetKeeper::find_coordinator() {
  sim::find_coordinator(context_, CoordinatorType::kGroup, group_,
                        [this](std::optional<io::Endpoint> found) {
                          coordinator_ = std::move(found);
                          again(false);
                        });
}

void OffsetKeeper::commit() {
  const std::int64_t value = next_++;
  protocol::OffsetCommitRequest request;
  request.group_id = group_;
  const auto leader = context_.router.leader({context_.topic, 0});
  request.topics.push_back({context_.topic, leader ? leader->topic_id : Uuid{}, {}});
  protocol::OffsetCommitRequest::OffsetCommitRequestPartition partition;
  partition.committed_offset = value;
  partition.committed_metadata = "";
  request.topics.back().partitions.push_back(std::move(partition));
  context_.history.commit_started(group_, value);
  context_.router.call<protocol::OffsetCommitRequest>(
      *coordinator_, std::move(request),
      [this, value, node = *coordinator_](Result<protocol::OffsetCommitResponse> response) {
        const auto error =
            response.ok()
                ? static_cast<ErrorCode>(response->topics.front().partitions.front().error_code)
                : response.code();
        // A coordinator that gave up waiting for its replicas, or an answer that never came.
        const bool unknown =
            error == ErrorCode::kRequestTimedOut || error == ErrorCode::kNetworkException ||
            error == ErrorCode::kCoordinatorNotAvailable || error == ErrorCode::kNotCoordinator;
        context_.history.commit_ended(group_, value, error == ErrorCode::kNone, unknown,
                                      io::to_string(node));
        look_first_ = error != ErrorCode::kNone;
        again(error != ErrorCode::kNone);
      },
      kRequestTimeout);
}

void OffsetKeeper::look_up() {
  fetch_group_offset(context_, *coordinator_, group_,
                     [this, node = *coordinator_](std::optional<std::int64_t> offset) {
                       if (!offset) return again(true);
                       look_first_ =
                           !context_.history.offset_fetched(group_, *offset, io::to_string(node));
                       again(look_first_);
                     });
}

}  // namespace broker::sim
