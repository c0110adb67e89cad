// Log: appending.
#include <algorithm>
#include <optional>

#include "broker/common/defect.h"
#include "broker/storage/log.h"

namespace broker::storage {
namespace {

using record::ValidatedBatch;

record::ProduceRules rules_of(const LogOptions& options, AppendOrigin origin,
                              const TopicPartition& partition) {
  return {.origin = origin,
          .max_message_bytes = options.max_message_bytes,
          .timestamp_type = options.timestamp_type,
          .timestamp_before_max_ms = options.timestamp_before_max_ms,
          .timestamp_after_max_ms = options.timestamp_after_max_ms,
          .compacted = options.cleanup_compact,
          .compression = options.compression,
          .compression_level = options.compression_level,
          .max_decompressed_bytes = options.max_decompressed_bytes,
          .partition = &partition};
}

}  // namespace

Result<std::vector<ValidatedBatch>> Log::validate(const Slice& batches, AppendOrigin origin,
                                                  WallMs now,
                                                  std::vector<record::RecordError>* errors) {
  const record::ProduceRules rules = rules_of(options_, origin, partition_);
  std::vector<ValidatedBatch> valid;
  record::BatchReader reader(batches);
  std::size_t bytes = 0;
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, reader.next());
    if (!batch) break;
    ASSIGN_OR_RETURN(auto validated, validate_produce_batch(*batch, rules, now, errors));
    bytes += validated.size_bytes();
    valid.push_back(std::move(validated));
  }
  if (reader.position() != batches.size()) {
    return Error{ErrorCode::kCorruptMessage, "a record batch is cut off"};
  }
  if (valid.empty()) return Error{ErrorCode::kInvalidRecord, "no record batch to append"};
  if (origin == AppendOrigin::kClient && valid.size() != 1) {
    return Error{ErrorCode::kInvalidRecord, "a client appends exactly one batch at a time"};
  }
  if (bytes > static_cast<std::size_t>(options_.segment_bytes)) {
    return Error{ErrorCode::kRecordListTooLarge, std::to_string(bytes) +
                                                     " bytes do not fit into a segment of " +
                                                     std::to_string(options_.segment_bytes)};
  }
  return valid;
}

Result<std::optional<ProducerBatch>> Log::check_producers(
    const std::vector<ValidatedBatch>& batches, AppendOrigin origin) const {
  for (const ValidatedBatch& batch : batches) {
    const record::BatchHeader header = batch.header();
    if (header.is_control()) {
      ASSIGN_OR_RETURN(const auto marker, record::parse_txn_marker(header, batch.records.span()));
      if (marker) RETURN_IF_ERROR(producers_.check_marker(*marker));
      continue;
    }
    ASSIGN_OR_RETURN(const auto duplicate, producers_.check(header, origin));
    if (duplicate) return duplicate;  // of a client, whose only batch this is
  }
  return std::optional<ProducerBatch>{};
}

Result<AppendInfo> Log::append_as_leader(const Slice& batches, LeaderEpoch epoch,
                                         AppendOrigin origin, WallMs now,
                                         std::vector<record::RecordError>* record_errors) {
  RETURN_IF_ERROR(guard());
  ASSIGN_OR_RETURN(auto valid, validate(batches, origin, now, record_errors));
  ASSIGN_OR_RETURN(const auto duplicate, check_producers(valid, origin));
  const bool log_append_time = options_.timestamp_type == record::TimestampType::kLogAppendTime;
  if (duplicate) {
    return AppendInfo{
        .first_offset = duplicate->first_offset(),
        .last_offset = duplicate->last_offset,
        .max_timestamp = duplicate->timestamp,
        .log_append_time = log_append_time ? duplicate->timestamp : record::kNoTimestamp,
        .duplicate = true,
        .log_start_offset = log_start_offset_};
  }

  RETURN_IF_ERROR(check_space());
  AppendInfo info{.first_offset = log_end_offset_, .log_start_offset = log_start_offset_};
  if (log_append_time) info.log_append_time = now;
  Slices bytes;
  std::vector<BatchParts> parts;
  bytes.reserve(2 * valid.size());
  parts.reserve(valid.size());
  Offset next = log_end_offset_;
  for (ValidatedBatch& batch : valid) {
    record::set_base_offset(batch.bytes, next);
    record::set_leader_epoch(batch.bytes, epoch);
    const record::BatchHeader header = batch.header();
    next = header.next_offset();
    info.max_timestamp = std::max(info.max_timestamp, header.max_timestamp());
    info.bytes += batch.size_bytes();
    parts.push_back({header, batch.records.span()});
    bytes.push_back(Slice::borrowed(batch.bytes));  // `valid` outlives the write
    bytes.push_back(batch.records);
  }
  info.last_offset = Offset{next.value - 1};
  RETURN_IF_ERROR(conclude_write(write(bytes, parts, now)));
  return info;
}

Result<AppendInfo> Log::append_as_follower(const Slice& batches, WallMs now,
                                           LeaderEpoch current_epoch) {
  RETURN_IF_ERROR(guard());
  AppendInfo info{.first_offset = log_end_offset_,
                  .last_offset = Offset{log_end_offset_.value - 1},
                  .log_start_offset = log_start_offset_};
  std::vector<BatchParts> parts;
  record::BatchReader reader(batches);
  Offset expected = log_end_offset_;
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, reader.next());
    if (!batch || batch->header().leader_epoch() > current_epoch) break;
    const record::BatchHeader header = batch->header();
    RETURN_IF_ERROR(record::check_batch(batch->bytes.span()));
    if (header.base_offset() < expected) {
      return Error{ErrorCode::kInvalidRecord,
                   "offset " + std::to_string(header.base_offset().value) +
                       " from the leader, expected " + std::to_string(expected.value)};
    }
    expected = header.next_offset();
    info.bytes += batch->bytes.size();
    info.max_timestamp = std::max(info.max_timestamp, header.max_timestamp());
    parts.push_back({header, batch->bytes.span().subspan(record::kBatchHeaderSize)});
  }
  if (parts.empty()) return info;
  info.first_offset = parts.front().header.base_offset();
  info.last_offset = parts.back().header.last_offset();
  RETURN_IF_ERROR(check_space());
  RETURN_IF_ERROR(conclude_write(write({batches.sub(0, info.bytes)}, parts, now)));
  if (has_defect(Defect::kFollowersForgetProducers)) producers_.clear();
  return info;
}

Result<void> Log::write(const Slices& bytes, std::span<const BatchParts> batches, WallMs now) {
  std::uint64_t size = 0;
  WallMs max_timestamp = record::kNoTimestamp;
  for (const BatchParts& batch : batches) {
    size += batch.header.size_bytes();
    max_timestamp = std::max(max_timestamp, batch.header.max_timestamp());
  }
  const Offset last = batches.back().header.last_offset();
  ASSIGN_OR_RETURN(const bool roll, active().should_roll(size, max_timestamp, last, options_, now));
  // A follower's first batch may lie behind the log end: compaction left a gap at the leader. It
  // lies inside a segment, if that can be: between two it would look like a loss to recovery.
  if (roll) {
    const bool reaches = last - log_end_offset_ <= INT32_MAX;
    RETURN_IF_ERROR(roll_to(reaches ? log_end_offset_ : batches.front().header.base_offset(), now));
  }

  closed_on_disk_ = false;
  const auto append = [&] { return active().append(bytes, batches, options_); };
  RETURN_IF_ERROR(may_use_reserve_ ? with_reserve(health_, append) : append());
  for (const BatchParts& batch : batches) {
    const LeaderEpoch epoch = batch.header.leader_epoch();
    if (epoch.value >= 0 && epochs_.assign(epoch, batch.header.base_offset())) {
      epochs_dirty_ = true;
    }
    RETURN_IF_ERROR(note_producer(batch, &active()));
  }
  log_end_offset_ = last + 1;
  return {};
}

Result<void> Log::note_producer(const BatchParts& batch, Segment* segment) {
  if (!batch.header.has_producer_id()) return {};
  if (!batch.header.is_control()) {
    producers_.update(batch.header);
    return {};
  }
  ASSIGN_OR_RETURN(const auto marker, record::parse_txn_marker(batch.header, batch.records));
  if (!marker) return {};
  const auto aborted =
      producers_.update_marker(*marker, batch.header.last_offset(), batch.header.max_timestamp());
  if (!aborted || segment == nullptr) return {};
  return with_reserve(health_, [&] { return segment->append_aborted(*aborted); });
}

}  // namespace broker::storage
