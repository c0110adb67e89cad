#include "operator/kafka/log_replay.h"

#include <algorithm>

#include "broker/metadata/record.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"

namespace op::kafka {
namespace {

namespace metadata = broker::metadata;
namespace record = broker::record;
using broker::Error;
using broker::ErrorCode;
using broker::LeaderEpoch;
using broker::Offset;
using broker::Result;

constexpr std::size_t kMaxBatchBytes = 64 << 20;  // Kafka's largest metadata batch is 8 MiB

Error corrupt(std::string detail) { return {ErrorCode::kCorruptMessage, std::move(detail)}; }

Result<bool> has_footer(const record::Batch& batch) {
  ASSIGN_OR_RETURN(auto records, record::RecordIterator::open(batch, kMaxBatchBytes));
  for (;;) {
    ASSIGN_OR_RETURN(const auto next, records.next());
    if (!next) return false;
    ASSIGN_OR_RETURN(const auto type, record::parse_control_key(next->key));
    if (type == record::ControlType::kSnapshotFooter) return true;
  }
}

}  // namespace

LogReplay::LogReplay() : delta_(metadata::MetadataImage::empty(), metadata::ReplayAs::kObserver) {}

LeaderEpoch LogReplay::last_epoch() const {
  return tail_.empty() ? replayed_epoch_ : tail_.back().header().leader_epoch();
}

Result<void> LogReplay::append(broker::Slice records) {
  record::BatchReader reader(std::move(records));
  for (;;) {
    ASSIGN_OR_RETURN(auto batch, reader.next());
    if (!batch) return {};
    RETURN_IF_ERROR(record::check_batch(batch->bytes.span()));
    const auto header = batch->header();
    if (header.last_offset() < next_offset_) continue;
    if (header.base_offset() != next_offset_) {
      return corrupt("a batch at offset " + std::to_string(header.base_offset().value) + " where " +
                     std::to_string(next_offset_.value) + " is next");
    }
    next_offset_ = header.next_offset();
    tail_.push_back(std::move(*batch));
  }
}

Result<void> LogReplay::truncate(LeaderEpoch epoch, Offset end_offset) {
  while (!tail_.empty()) {
    const auto header = tail_.back().header();
    if (header.leader_epoch() <= epoch && header.last_offset() < end_offset) break;
    next_offset_ = header.base_offset();
    tail_.pop_back();
  }
  if (tail_.empty() && (end_offset < replayed_to_ || epoch < replayed_epoch_)) {
    return Error{ErrorCode::kOffsetOutOfRange,
                 "the log ends at " + std::to_string(end_offset.value) + " in epoch " +
                     std::to_string(epoch.value) + ", before offset " +
                     std::to_string(replayed_to_.value) + " in epoch " +
                     std::to_string(replayed_epoch_.value) + ", which was committed"};
  }
  return {};
}

Result<std::optional<metadata::MetadataUpdate>> LogReplay::commit(Offset high_watermark) {
  bool replayed = false;
  while (!tail_.empty() && tail_.front().header().last_offset() < high_watermark) {
    RETURN_IF_ERROR(replay(tail_.front()));
    const auto header = tail_.front().header();
    replayed_to_ = header.next_offset();
    replayed_epoch_ = header.leader_epoch();
    replayed_timestamp_ = header.max_timestamp();
    tail_.pop_front();
    replayed = true;
  }
  if (!replayed) return std::optional<metadata::MetadataUpdate>();
  return std::optional(
      delta_.apply({Offset{replayed_to_.value - 1}, replayed_epoch_, replayed_timestamp_}));
}

Result<void> LogReplay::replay(const record::Batch& batch) {
  if (batch.header().is_control()) return {};  // the quorum's own business
  ASSIGN_OR_RETURN(auto records, record::RecordIterator::open(batch, kMaxBatchBytes));
  for (;;) {
    ASSIGN_OR_RETURN(const auto next, records.next());
    if (!next) return {};
    if (!next->value) return corrupt("a metadata record without a value");
    ASSIGN_OR_RETURN(const auto decoded, metadata::decode_record(records.share(*next->value)));
    RETURN_IF_ERROR(delta_.replay(decoded));
  }
}

void LogReplay::begin_snapshot(SnapshotId id) {
  *this = LogReplay();
  snapshot_ = id;
}

Result<void> LogReplay::append_snapshot(broker::Slice bytes) {
  CHECK(snapshot_.has_value());
  snapshot_position_ += static_cast<std::int64_t>(bytes.size());
  if (!snapshot_rest_.empty()) {
    snapshot_rest_.insert(snapshot_rest_.end(), bytes.data(), bytes.data() + bytes.size());
    bytes = broker::Slice(std::exchange(snapshot_rest_, {}));
  }
  record::BatchReader reader(bytes);
  for (;;) {
    ASSIGN_OR_RETURN(const auto batch, reader.next());
    if (!batch) break;
    RETURN_IF_ERROR(record::check_batch(batch->bytes.span()));
    replayed_timestamp_ = std::max(replayed_timestamp_, batch->header().max_timestamp());
    RETURN_IF_ERROR(replay(*batch));
    if (batch->header().is_control()) {
      ASSIGN_OR_RETURN(snapshot_footer_, has_footer(*batch));
    }
  }
  const auto rest = bytes.sub(reader.position(), bytes.size() - reader.position());
  if (rest.size() > kMaxBatchBytes) return corrupt("a snapshot's batch is too large");
  snapshot_rest_.assign(rest.data(), rest.data() + rest.size());
  return {};
}

Result<metadata::MetadataUpdate> LogReplay::end_snapshot() {
  CHECK(snapshot_.has_value());
  if (!snapshot_rest_.empty() || !snapshot_footer_) {
    return corrupt("the snapshot " + std::to_string(snapshot_->end_offset.value) + "-" +
                   std::to_string(snapshot_->epoch.value) + " is cut off");
  }
  next_offset_ = replayed_to_ = snapshot_->end_offset;
  replayed_epoch_ = snapshot_->epoch;
  snapshot_.reset();
  snapshot_rest_ = {};
  return delta_.apply({Offset{replayed_to_.value - 1}, replayed_epoch_, replayed_timestamp_});
}

}  // namespace op::kafka
