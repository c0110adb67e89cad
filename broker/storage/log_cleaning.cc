#include "broker/storage/log_cleaning.h"

#include <algorithm>

#include "broker/common/log.h"
#include "broker/record/record_iterator.h"

namespace broker::storage {
namespace {

constexpr std::size_t kWriteBytes = 256 << 10;

}  // namespace

std::vector<std::vector<LogCleaning::Source>> group_for_cleaning(
    const std::vector<LogCleaning::Source>& segments, std::uint64_t max_bytes,
    std::uint64_t max_index_bytes) {
  std::vector<std::vector<LogCleaning::Source>> groups;
  std::uint64_t bytes = 0;
  std::uint64_t index_bytes = 0;
  for (const LogCleaning::Source& segment : segments) {
    const bool fits = !groups.empty() && bytes + segment.size_bytes <= max_bytes &&
                      index_bytes + segment.index_bytes <= max_index_bytes &&
                      // Nothing of an empty segment is copied, wherever it lies.
                      (segment.size_bytes == 0 ||
                       segment.end + -1 - groups.back().front().base <= std::int64_t{INT32_MAX});
    if (!fits) {
      groups.emplace_back();
      bytes = index_bytes = 0;
    }
    groups.back().push_back(segment);
    bytes += segment.size_bytes;
    index_bytes += segment.index_bytes;
  }
  return groups;
}

LogCleaning::LogCleaning(FileCache& files, Plan plan)
    : files_(files),
      plan_(std::move(plan)),
      transactions_(plan_.aborted),
      latest_(plan_.first_dirty + -1),
      end_(plan_.first_dirty) {
  while (source_ < plan_.segments.size() && plan_.segments[source_].end <= plan_.first_dirty) {
    ++source_;
  }
}

LogCleaning::~LogCleaning() { drop_output(); }

void LogCleaning::drop_output() {
  if (!output_) return;
  const auto paths = output_->paths();
  output_ = nullptr;
  for (const std::string& path : paths) {
    files_.forget(path);
    (void)files_.file_system().remove(path);  // what is left goes when the log is opened
  }
}

Result<LogCleaning::Step> LogCleaning::step(std::size_t budget_bytes) {
  return filter_ ? copy(budget_bytes) : read_dirty(budget_bytes);
}

/// Not through the FileCache: the log may be deleted meanwhile, and a new one of its name must not
/// find our handle there.
Result<LogCleaning::Input> LogCleaning::open(const Source& source) const {
  const std::string path = plan_.directory + "/" + segment_file_name(source.base, kLogSuffix);
  ASSIGN_OR_RETURN(auto file, files_.file_system().open(path, io::OpenMode::kRead));
  BatchScanner scanner(*file, 0, source.size_bytes);
  return Input{std::move(file), std::move(scanner), source.size_bytes, path};
}

Result<std::optional<record::Batch>> LogCleaning::next_batch() {
  ASSIGN_OR_RETURN(auto batch, input_->scanner.next());
  if (!batch) {
    if (input_->scanner.position() == input_->size) return batch;
    return Error{ErrorCode::kCorruptMessage, input_->path + " has no whole batch at position " +
                                                 std::to_string(input_->scanner.position())};
  }
  const auto good = record::check_batch(batch->bytes.span());
  if (!good.ok()) return Error{good.error().code, input_->path + ": " + good.error().detail};
  return batch;
}

// --- The map

Result<LogCleaning::Step> LogCleaning::read_dirty(std::size_t budget_bytes) {
  if (!map_) {
    map_ =
        std::make_unique<OffsetMap>(OffsetMap::Options{.budget_bytes = plan_.limits.map_bytes,
                                                       .load_factor = plan_.limits.map_load_factor,
                                                       .hash_key = plan_.limits.hash_key,
                                                       .base = plan_.first_dirty});
  }
  for (const std::uint64_t until = stats_.map_bytes_read + budget_bytes;
       stats_.map_bytes_read < until;) {
    if (!input_) {
      if (source_ == plan_.segments.size()) {
        end_map(plan_.first_uncleanable);
        return Step::kMore;
      }
      ASSIGN_OR_RETURN(auto input, open(plan_.segments[source_]));
      input_.emplace(std::move(input));
    }
    ASSIGN_OR_RETURN(const auto batch, next_batch());
    if (!batch) {
      RETURN_IF_ERROR(sync_input());
      input_.reset();
      ++source_;
      continue;
    }
    stats_.map_bytes_read += batch->bytes.size();
    ASSIGN_OR_RETURN(const bool took_it, read_into_map(*batch));
    if (took_it) continue;
    if (latest_ < plan_.first_dirty) {
      return Error{
          ErrorCode::kKafkaStorageError,
          "log.cleaner.dedupe.buffer.size has no room for the keys of the batch at offset " +
              std::to_string(batch->header().base_offset().value)};
    }
    RETURN_IF_ERROR(sync_input());
    end_map(latest_ + 1);
    return Step::kMore;
  }
  return Step::kMore;
}

/// What takes the place of older records must be on disk before they go.
Result<void> LogCleaning::sync_input() {
  const auto synced = input_->file->sync();
  if (!synced.ok()) source_lost_ = true;
  return synced;
}

/// False when the map is full: the pass ends in front of this batch.
Result<bool> LogCleaning::read_into_map(const record::Batch& batch) {
  const record::BatchHeader header = batch.header();
  if (header.last_offset() < plan_.first_dirty) return true;
  if (header.is_control()) {
    ASSIGN_OR_RETURN([[maybe_unused]] const auto marker, transactions_.on_control_batch(batch));
  } else if (!transactions_.on_batch(header)) {  // what was aborted hides nothing
    ASSIGN_OR_RETURN(auto records,
                     record::RecordIterator::open(batch, plan_.options.max_decompressed_bytes));
    while (true) {
      ASSIGN_OR_RETURN(const auto record, records.next());
      if (!record) break;
      if (!record->key || record->offset < plan_.first_dirty) continue;
      if (!map_->put(*record->key, record->offset)) return false;
    }
  }
  latest_ = header.last_offset();
  return true;
}

void LogCleaning::end_map(Offset end) {
  end_ = end;
  input_.reset();
  source_ = 0;
  stats_.map_utilization = map_->utilization();
  Group segments = plan_.segments;
  std::erase_if(segments, [&](const Source& segment) { return segment.base >= end; });
  groups_ = group_for_cleaning(
      segments,
      static_cast<std::uint64_t>(std::min<std::int64_t>(plan_.options.segment_bytes, INT32_MAX)),
      static_cast<std::uint64_t>(plan_.options.segment_index_bytes));
  filter_ = std::make_unique<CleanFilter>(
      CleanRules{.now = plan_.now,
                 .delete_retention_ms = plan_.options.delete_retention_ms,
                 .max_decompressed_bytes = plan_.options.max_decompressed_bytes,
                 .last_of_producers = plan_.last_of_producers,
                 .end = latest_ + 1},
      *map_, latest_, CleanedTransactions(plan_.aborted));
}

// --- The copy

Result<LogCleaning::Step> LogCleaning::copy(std::size_t budget_bytes) {
  for (const std::uint64_t until = stats_.bytes_read + budget_bytes; stats_.bytes_read < until;) {
    if (group_ == groups_.size()) {
      // The new names, before a checkpoint says that this is clean.
      RETURN_IF_ERROR(files_.file_system().sync_directory(plan_.directory));
      return Step::kDone;
    }
    if (!output_) RETURN_IF_ERROR(begin_group());
    const Group& group = groups_[group_];
    if (!input_) {
      if (source_ == group.size()) {
        RETURN_IF_ERROR(finish_group());
        return Step::kSwap;
      }
      ASSIGN_OR_RETURN(auto input, open(group[source_]));
      input_.emplace(std::move(input));
    }
    ASSIGN_OR_RETURN(const auto batch, next_batch());
    if (batch) {
      RETURN_IF_ERROR(copy_batch(*batch, is_last_of_group()));
    } else {
      input_.reset();
      ++source_;
    }
  }
  return Step::kMore;
}

/// Of a cleaning that was given up.
Result<void> LogCleaning::remove_leftovers() {
  ASSIGN_OR_RETURN(const auto names, files_.file_system().list(plan_.directory));
  for (const std::string& name : names) {
    if (!name.ends_with(kCleanedSuffix)) continue;
    const std::string path = plan_.directory + "/" + name;
    files_.forget(path);
    RETURN_IF_ERROR(files_.file_system().remove(path));
  }
  return {};
}

Result<void> LogCleaning::begin_group() {
  const Offset base = groups_[group_].front().base;
  if (group_ == 0) RETURN_IF_ERROR(remove_leftovers());
  ASSIGN_OR_RETURN(output_,
                   Segment::create(files_, plan_.directory, base, plan_.now, kCleanedSuffix));
  ready_ = {.base = base, .replaced = {}};
  for (const Source& source : groups_[group_]) ready_.replaced.push_back(source.base);
  source_ = 0;
  return {};
}

/// Whether the batch just read is.
bool LogCleaning::is_last_of_group() const {
  if (input_->scanner.position() != input_->size) return false;
  const Group& group = groups_[group_];
  return std::all_of(group.begin() + static_cast<std::ptrdiff_t>(source_) + 1, group.end(),
                     [](const Source& source) { return source.size_bytes == 0; });
}

Result<void> LogCleaning::copy_batch(const record::Batch& batch, bool is_last) {
  stats_.bytes_read += batch.bytes.size();
  stats_.records_read += batch.header().record_count();
  ASSIGN_OR_RETURN(auto cleaned, filter_->clean(batch, is_last));
  stats_.records_kept += cleaned.records_kept;
  if (cleaned.aborted) RETURN_IF_ERROR(output_->append_aborted(*cleaned.aborted));
  if (!cleaned.bytes) return {};
  pending_bytes_ += cleaned.bytes->size();
  pending_.push_back(std::move(*cleaned.bytes));
  return pending_bytes_ < kWriteBytes ? Result<void>{} : write_pending();
}

Result<void> LogCleaning::write_pending() {
  if (pending_.empty()) return {};
  // Horizons and another compression may have made it longer than its sources.
  if (output_->size_bytes() + pending_bytes_ > INT32_MAX) {
    return Error{ErrorCode::kKafkaStorageError, "a cleaned segment would be larger than 2 GiB"};
  }
  std::vector<BatchParts> parts;
  parts.reserve(pending_.size());
  for (const Slice& batch : pending_) {
    parts.push_back(
        {record::BatchHeader(batch.span()), batch.span().subspan(record::kBatchHeaderSize)});
  }
  RETURN_IF_ERROR(output_->append(pending_, parts, plan_.options));
  stats_.bytes_written += pending_bytes_;
  pending_.clear();
  pending_bytes_ = 0;
  return {};
}

Result<void> LogCleaning::finish_group() {
  RETURN_IF_ERROR(write_pending());
  RETURN_IF_ERROR(output_->make_inactive());
  std::vector<std::shared_ptr<io::File>> written;
  RETURN_IF_ERROR(output_->collect_files(written, true));
  for (const auto& file : written) RETURN_IF_ERROR(file->sync());
  // Under these names no one else may open them: they are about to be renamed.
  for (const std::string& path : output_->paths()) files_.forget(path);
  RETURN_IF_ERROR(files_.file_system().sync_directory(plan_.directory));
  output_ = nullptr;
  ++group_;
  source_ = 0;
  return {};
}

}  // namespace broker::storage
