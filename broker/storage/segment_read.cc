// Segment: everything that reads batches, and what rebuilds the indexes from them.
#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/record/record_iterator.h"
#include "broker/storage/batch_scanner.h"
#include "broker/storage/segment.h"

namespace broker::storage {
namespace {

constexpr std::int64_t kDefaultIndexInterval = 4096;  // when indexes are rebuilt on first use

/// Batches inside a buffer that begins at one. Errors: kCorruptMessage where none can be.
Result<record::BatchHeader> header_at(std::span<const std::uint8_t> bytes, std::size_t at,
                                      std::uint64_t left_in_file) {
  const record::BatchHeader header(bytes.subspan(at));
  if (header.magic() != record::kMagic) {
    return Error{ErrorCode::kUnsupportedForMessageFormat,
                 "messages of magic " + std::to_string(header.magic()) + " are not supported"};
  }
  if (header.batch_length() <
          static_cast<std::int32_t>(record::kBatchHeaderSize - record::kLogOverhead) ||
      header.size_bytes() > left_in_file) {
    return Error{ErrorCode::kCorruptMessage, "a batch in the log has an impossible length"};
  }
  return header;
}

}  // namespace

Result<void> Segment::ensure_indexes() {
  if (indexes_ready_) return {};
  for (auto&& opened : {offset_index_.open(), time_index_.open()}) {
    if (opened.ok()) continue;
    if (opened.code() != ErrorCode::kResourceNotFound &&
        opened.code() != ErrorCode::kCorruptMessage) {
      return opened.error();
    }
    log_warn("storage", "rebuilding the indexes of a segment",
             {{"segment", path(kLogSuffix)}, {"reason", opened.error().detail}});
    return rebuild_indexes();
  }
  indexes_ready_ = true;
  ASSIGN_OR_RETURN(const auto last, time_index_.last());
  if (last) max_timestamp_ = *last;
  return {};
}

Result<void> Segment::clear_indexes() {
  RETURN_IF_ERROR(offset_index_.create());
  RETURN_IF_ERROR(time_index_.create());
  indexes_ready_ = true;
  bytes_since_index_ = 0;
  max_timestamp_ = {-1, base_offset_};
  first_timestamp_.reset();
  return {};
}

Result<void> Segment::rebuild_indexes() {
  RETURN_IF_ERROR(clear_indexes());
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, 0, size_);
  while (true) {
    const auto position = static_cast<std::uint32_t>(scanner.position());
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) break;
    RETURN_IF_ERROR(index_batch(batch->header(), position, kDefaultIndexInterval));
  }
  return active_file_ ? Result<void>{} : finish_indexes();
}

Result<Offset> Segment::load_tail() {
  RETURN_IF_ERROR(ensure_indexes());
  ASSIGN_OR_RETURN(const auto last_entry, offset_index_.last());
  ASSIGN_OR_RETURN(const auto last_time, time_index_.last());
  max_timestamp_ = last_time.value_or(TimePosition{-1, base_offset_});
  first_timestamp_.reset();
  bytes_since_index_ = 0;
  const std::uint64_t start = last_entry ? last_entry->position : 0;
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start, size_);
  Offset next = base_offset_;
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) break;
    const record::BatchHeader header = batch->header();
    count_batch(header);
    next = header.next_offset();
    bytes_since_index_ += header.size_bytes();
  }
  if (scanner.position() != size_) {
    return Error{ErrorCode::kCorruptMessage, path(kLogSuffix) + " has no whole batch at position " +
                                                 std::to_string(scanner.position())};
  }
  return next;
}

Result<std::optional<ReadResult>> Segment::read(Offset from, const ReadLimits& limits,
                                                DirectoryHealth* health) {
  const std::optional<ReadResult> not_here;
  if (empty()) return not_here;
  RETURN_IF_ERROR(ensure_indexes());
  const std::size_t max_bytes = limits.max_bytes;
  if (limits.as == ReadAs::kFileRange &&
      std::min<std::uint64_t>(max_bytes, size_) >= limits.refer_bytes) {
    ASSIGN_OR_RETURN(auto referred, refer(from, limits, health));
    if (referred) return referred;
  }
  ASSIGN_OR_RETURN(const OffsetPosition start, offset_index_.lookup(from));
  ASSIGN_OR_RETURN(const auto log, file());

  std::uint64_t position = start.position;
  // What lies between the index entry and the wanted batch is read along: one system call.
  std::uint64_t want =
      std::max<std::uint64_t>(max_bytes, record::kBatchHeaderSize) + limits.read_ahead_bytes;
  while (position + record::kBatchHeaderSize <= size_) {
    ReadBuffer buffer(std::min(want, size_ - position));
    ASSIGN_OR_RETURN(const std::size_t n, log->read_at(position, buffer.span()));
    const std::span<const std::uint8_t> bytes = buffer.span().first(n);
    if (n < record::kBatchHeaderSize) {
      return Error{ErrorCode::kKafkaStorageError, path(kLogSuffix) + " became shorter"};
    }
    std::size_t at = 0;
    while (at + record::kBatchHeaderSize <= n) {
      ASSIGN_OR_RETURN(const auto header, header_at(bytes, at, size_ - position - at));
      if (header.last_offset() >= from) break;
      at += header.size_bytes();
    }
    if (at + record::kBatchHeaderSize > n) {  // not among these
      position += at;
      continue;
    }
    const record::BatchHeader first(bytes.subspan(at));
    ReadResult result{.records = {}, .first_offset = from, .next_offset = from};
    if (first.last_offset() >= limits.max_exclusive ||
        (first.size_bytes() > max_bytes && !limits.at_least_one)) {
      return std::optional<ReadResult>(std::move(result));
    }
    if (at + first.size_bytes() > n) {  // larger than the buffer: once more, from its start
      position += at;
      want = std::max<std::uint64_t>(first.size_bytes(), max_bytes);
      continue;
    }
    std::size_t end = at + first.size_bytes();
    result.first_offset = first.base_offset();
    result.next_offset = first.next_offset();
    while (end + record::kBatchHeaderSize <= n) {
      ASSIGN_OR_RETURN(const auto header, header_at(bytes, end, size_ - position - end));
      const std::size_t next_end = end + header.size_bytes();
      if (next_end > n || next_end - at > max_bytes || header.last_offset() >= limits.max_exclusive)
        break;
      end = next_end;
      result.next_offset = header.next_offset();
    }
    result.records = buffer.slice(at, end - at);
    return std::optional<ReadResult>(std::move(result));
  }
  return not_here;
}

Result<std::optional<TimestampOffset>> Segment::find_timestamp(WallMs timestamp, Offset at_least,
                                                               std::size_t max_decompressed_bytes) {
  const std::optional<TimestampOffset> none;
  RETURN_IF_ERROR(ensure_indexes());
  ASSIGN_OR_RETURN(const TimePosition entry, time_index_.lookup(timestamp));
  // Everything in front of the entry's batch is older than `timestamp`.
  ASSIGN_OR_RETURN(const OffsetPosition start,
                   offset_index_.lookup(std::max(entry.offset, at_least)));
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start.position, size_);
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) return none;
    const record::BatchHeader header = batch->header();
    if (header.max_timestamp() < timestamp || header.last_offset() < at_least) continue;
    ASSIGN_OR_RETURN(auto records, record::RecordIterator::open(*batch, max_decompressed_bytes));
    while (true) {
      ASSIGN_OR_RETURN(const auto record, records.next());
      if (!record) break;
      if (record->timestamp >= timestamp && record->offset >= at_least) {
        return std::optional<TimestampOffset>(
            TimestampOffset{record->timestamp, record->offset, header.leader_epoch()});
      }
    }
  }
}

Result<void> Segment::for_each_batch(Offset from, const BatchVisitor& visit) {
  RETURN_IF_ERROR(ensure_indexes());
  ASSIGN_OR_RETURN(const OffsetPosition start, offset_index_.lookup(from));
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start.position, size_);
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) return {};
    if (batch->header().last_offset() >= from) RETURN_IF_ERROR(visit(*batch));
  }
}

Result<std::uint64_t> Segment::recover(const LogOptions& options, const BatchVisitor& visit) {
  RETURN_IF_ERROR(clear_indexes());
  if (files_.file_system().exists(path(kTxnIndexSuffix))) {
    ASSIGN_OR_RETURN(const auto txns, files_.open(path(kTxnIndexSuffix)));
    RETURN_IF_ERROR(txns->truncate(0));
  }
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, 0, size_);
  std::uint64_t valid = 0;
  Offset expected = base_offset_;
  std::string reason = "no whole batch";
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) break;
    if (const auto good = record::check_batch(batch->bytes.span());
        !good.ok() && !has_defect(Defect::kRecoveryTrustsTheTail)) {
      reason = good.error().detail;
      break;
    }
    const record::BatchHeader header = batch->header();
    if (header.base_offset() < expected || header.last_offset() - base_offset_ > INT32_MAX) {
      reason = "offset " + std::to_string(header.base_offset().value) + " out of order";
      break;
    }
    RETURN_IF_ERROR(visit(*batch));
    RETURN_IF_ERROR(
        index_batch(header, static_cast<std::uint32_t>(valid), options.index_interval_bytes));
    expected = header.next_offset();
    valid = scanner.position();
  }
  const std::uint64_t dropped = size_ - valid;
  if (dropped > 0) {
    log_warn("storage", "truncating a segment at its first invalid batch",
             {{"segment", path(kLogSuffix)},
              {"position", valid},
              {"dropped_bytes", dropped},
              {"reason", reason}});
    RETURN_IF_ERROR(log->truncate(valid));
    size_ = valid;
  }
  RETURN_IF_ERROR(finish_indexes());
  return dropped;
}

Result<std::uint64_t> Segment::position_of(Offset offset) {
  RETURN_IF_ERROR(ensure_indexes());
  ASSIGN_OR_RETURN(const OffsetPosition start, offset_index_.lookup(offset));
  ASSIGN_OR_RETURN(const auto log, file());
  BatchScanner scanner(*log, start.position, size_);
  while (true) {
    const std::uint64_t position = scanner.position();
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch || batch->header().last_offset() >= offset) return position;
  }
}

Result<void> Segment::truncate_to(Offset offset) {
  ASSIGN_OR_RETURN(const std::uint64_t position, position_of(offset));
  // Indexes first: an entry behind the end of the file would mislead a reader after a crash.
  RETURN_IF_ERROR(offset_index_.truncate_to(offset));
  RETURN_IF_ERROR(time_index_.truncate_to(offset));
  RETURN_IF_ERROR(truncate_aborted(offset));
  ASSIGN_OR_RETURN(const auto log, file());
  if (lent_end_ > offset) {
    RETURN_IF_ERROR(replace_by_prefix(*log, position));
  } else {
    RETURN_IF_ERROR(log->truncate(position));
    // Before anything is appended: a power failure that brings the old end back must not find a
    // newer segment behind it.
    if (!has_defect(Defect::kTruncationNotSynced)) RETURN_IF_ERROR(log->sync());
  }
  size_ = position;
  ASSIGN_OR_RETURN([[maybe_unused]] const Offset next, load_tail());
  return {};
}

}  // namespace broker::storage
